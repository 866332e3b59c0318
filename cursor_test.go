package fallback_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// A scan that a switch meets says so. One that begins after it is whole.
func TestScanAcrossASwitch(t *testing.T) {
	t.Parallel()
	s := newRealServers(t)
	fill := func(rdb *redis.Client, name string) {
		pipe := rdb.Pipeline()
		for i := range 2000 {
			key := fmt.Sprint(name, i)
			pipe.Set(ctx, key, 1, 0)
			pipe.HSet(ctx, "hash", key, 1)
			pipe.SAdd(ctx, "set", key)
			pipe.ZAdd(ctx, "sorted", redis.Z{Member: key})
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
	}
	fill(s.primary.Client(t), "p")
	fill(s.back, "l")
	scans := map[string]func(cursor uint64) *redis.ScanCmd{
		"SCAN":  func(n uint64) *redis.ScanCmd { return s.rdb.Scan(ctx, n, "", 100) },
		"HSCAN": func(n uint64) *redis.ScanCmd { return s.rdb.HScan(ctx, "hash", n, "", 100) },
		"SSCAN": func(n uint64) *redis.ScanCmd { return s.rdb.SScan(ctx, "set", n, "", 100) },
		"ZSCAN": func(n uint64) *redis.ScanCmd { return s.rdb.ZScan(ctx, "sorted", n, "", 100) },
	}
	begin := func(name string) uint64 {
		t.Helper()
		_, n, err := scans[name](0).Result()
		if err != nil || n == 0 {
			t.Fatalf("%s 0: cursor %d, %v", name, n, err)
		}
		return n
	}
	for _, to := range []fallback.Backend{fallback.Local, fallback.Primary, fallback.Local} {
		open := map[string]uint64{}
		for name := range scans {
			open[name] = begin(name)
		}
		iter := s.rdb.Scan(ctx, 0, "", 10).Iterator()
		iter.Next(ctx)
		s.h.Pin(to)
		for name, n := range open {
			if err := scans[name](n).Err(); !errors.Is(err, fallback.ErrRestartScan) {
				t.Errorf("%s with a cursor of the other server, to %v: %v", name, to, err)
			}
			if _, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.Set(ctx, "beside", name, 0)
				pipe.Do(ctx, "scan", n)
				return nil
			}); !errors.Is(err, fallback.ErrRestartScan) {
				t.Errorf("in a pipeline: %v", err)
			}
			if v := s.rdb.Get(ctx, "beside").Val(); v != name {
				t.Errorf("its neighbour in the pipeline: %q", v)
			}
			if _, err := s.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.Set(ctx, "beside", "tx", 0)
				pipe.Scan(ctx, n, "", 10)
				return nil
			}); !errors.Is(err, fallback.ErrRestartScan) || s.rdb.Get(ctx, "beside").Val() == "tx" {
				t.Errorf("in a transaction: %v", err)
			}
		}
		for iter.Next(ctx) {
		}
		if !errors.Is(iter.Err(), fallback.ErrRestartScan) {
			t.Errorf("ScanIterator ended with %v", iter.Err())
		}
		seen := map[string]bool{}
		iter = s.rdb.Scan(ctx, 0, "?[0-9]*", 50).Iterator()
		for iter.Next(ctx) {
			seen[iter.Val()] = true
		}
		if iter.Err() != nil || len(seen) != 2000 {
			t.Errorf("a scan on %v: %d keys, %v", to, len(seen), iter.Err())
		}
	}
}

// A scan whose first call is the one that trips goes on on local.
func TestScanThatTrips(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for i := range 50 {
		_ = p.local.Data().Set(fmt.Sprint(i), "v")
	}
	p.primary.Refuse(fallbacktest.ReplyDaily)
	n := 0
	iter := p.rdb.Scan(ctx, 0, "", 10).Iterator()
	for iter.Next(ctx) {
		n++
	}
	if iter.Err() != nil || n != 50 {
		t.Errorf("%d keys, %v", n, iter.Err())
	}
}

// A scan of everything is not forgotten for the many small ones that come between.
func TestManyShortScansForgetNothing(t *testing.T) {
	t.Parallel()
	s := newRealServers(t)
	s.h.Pin(fallback.Local)
	for i := range 500 {
		s.back.Set(ctx, fmt.Sprint(i), 1, 0)
	}
	_, n, err := s.rdb.Scan(ctx, 0, "", 10).Result()
	if err != nil || n == 0 {
		t.Fatalf("SCAN: cursor %d, %v", n, err)
	}
	for batch := range 70 {
		if _, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i := range 1000 {
				pipe.HScan(ctx, fmt.Sprint("hash", batch, " ", i), 0, "", 10)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.rdb.Scan(ctx, n, "", 10).Err(); err != nil {
		t.Errorf("SCAN after 70,000 HSCANs that ended at once: %v", err)
	}
}

// Under WATCH too, and a cursor that was given there goes on elsewhere.
func TestScanUnderWatch(t *testing.T) {
	t.Parallel()
	s := newRealServers(t)
	for _, rdb := range []*redis.Client{s.primary.Client(t), s.back} {
		pipe := rdb.Pipeline()
		for i := range 1000 {
			pipe.SAdd(ctx, "set", fmt.Sprint("member", i))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
	}
	scan := func(from uint64) (n uint64) {
		t.Helper()
		if err := s.rdb.Watch(ctx, func(tx *redis.Tx) error {
			var err error
			_, n, err = tx.SScan(ctx, "set", from, "", 10).Result()
			return err
		}, "set"); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, to := range []fallback.Backend{fallback.Local, fallback.Primary} {
		n := scan(scan(0))
		if err := s.rdb.SScan(ctx, "set", n, "", 10).Err(); err != nil {
			t.Errorf("a cursor of a Watch, outside: %v", err)
		}
		s.h.Pin(to)
		if err := s.rdb.Watch(ctx, func(tx *redis.Tx) error {
			if err := tx.SScan(ctx, "set", n, "", 10).Err(); !errors.Is(err, fallback.ErrRestartScan) {
				t.Errorf("to %v, in a Watch: %v", to, err)
			}
			cmds, err := tx.Pipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.SScan(ctx, "set", n, "", 10)
				pipe.Set(ctx, "beside", to.String(), 0)
				return nil
			})
			if !errors.Is(err, fallback.ErrRestartScan) || cmds[1].Err() != nil {
				t.Errorf("to %v, in a pipeline of a Watch: %v, %v", to, err, cmds)
			}
			_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.SScan(ctx, "set", n, "", 10)
				return nil
			})
			return err
		}, "set"); !errors.Is(err, fallback.ErrRestartScan) {
			t.Errorf("to %v, in its transaction: %v", to, err)
		}
	}
}
