package fallback_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// A refusal is the value of a raw command, and no error. It trips all the same, and local's reply is
// the value then.
func TestRawCommandsAreReplayed(t *testing.T) {
	t.Parallel()
	for how, send := range map[string]func(*redis.Client) *redis.RawCmd{
		"DoRaw": func(rdb *redis.Client) *redis.RawCmd { return rdb.DoRaw(ctx, "incr", "n") },
		"Conn": func(rdb *redis.Client) *redis.RawCmd {
			conn := rdb.Conn()
			defer conn.Close()
			return conn.DoRaw(ctx, "incr", "n")
		},
		"pipeline": func(rdb *redis.Client) *redis.RawCmd {
			pipe := rdb.Pipeline()
			cmd := redis.NewRawCmd(ctx, "incr", "n")
			_ = pipe.Process(ctx, cmd)
			_, _ = pipe.Exec(ctx)
			return cmd
		},
		"transaction": func(rdb *redis.Client) *redis.RawCmd {
			pipe := rdb.TxPipeline()
			cmd := redis.NewRawCmd(ctx, "incr", "n")
			_ = pipe.Process(ctx, cmd)
			_, _ = pipe.Exec(ctx)
			return cmd
		},
	} {
		p := newPair(t)
		if v, err := send(p.rdb).Result(); err != nil || string(v) != ":1\r\n" {
			t.Errorf("%s: %q, %v", how, v, err)
		}
		p.primary.Exhaust()
		for _, want := range []string{":1\r\n", ":2\r\n"} {
			if v, err := send(p.rdb).Result(); err != nil || string(v) != want {
				t.Errorf("%s, over quota: %q, %v, want %q", how, v, err, want)
			}
		}
		if a, b := number(t, p.primary, "n"), number(t, p.local, "n"); a != 1 || b != 2 {
			t.Errorf("%s: ran %d times on the primary and %d on local, want 1 and 2", how, a, b)
		}
		p.serves(t, fallback.Local)
	}
}

// What DoRawWriteTo has written cannot be taken back: the caller of the first refused one reads the
// refusal, as with a bare client, and the next ones are answered by local.
func TestDoRawWriteToIsASignal(t *testing.T) {
	t.Parallel()
	for how, send := range map[string]func(*redis.Client) (string, error){
		"DoRawWriteTo": func(rdb *redis.Client) (string, error) {
			var b bytes.Buffer
			err := rdb.DoRawWriteTo(ctx, &b, "incr", "n").Err()
			return b.String(), err
		},
		"pipeline": func(rdb *redis.Client) (string, error) {
			var b bytes.Buffer
			pipe := rdb.Pipeline()
			_ = pipe.Process(ctx, redis.NewRawWriteToCmd(ctx, &b, "incr", "n"))
			_, err := pipe.Exec(ctx)
			return b.String(), err
		},
	} {
		p := newPair(t)
		if v, err := send(p.rdb); err != nil || v != ":1\r\n" {
			t.Errorf("%s: %q, %v", how, v, err)
		}
		p.primary.Exhaust()
		if v, err := send(p.rdb); err != nil || v != "-"+fallbacktest.ReplyRequests+"\r\n" {
			t.Errorf("%s: the one that is refused writes %q, %v", how, v, err)
		}
		p.serves(t, fallback.Local)
		if v, err := send(p.rdb); err != nil || v != ":1\r\n" {
			t.Errorf("%s, while local serves: %q, %v", how, v, err)
		}
		if a, b := number(t, p.primary, "n"), number(t, p.local, "n"); a != 1 || b != 1 {
			t.Errorf("%s: ran %d times on the primary and %d on local, want 1 and 1", how, a, b)
		}
	}
}

// In a transaction nothing of it has been written when MULTI is refused.
func TestDoRawWriteToInATransaction(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.primary.Exhaust()
	var b bytes.Buffer
	pipe := p.rdb.TxPipeline()
	n := pipe.Incr(ctx, "n")
	_ = pipe.Process(ctx, redis.NewRawWriteToCmd(ctx, &b, "get", "n"))
	if _, err := pipe.Exec(ctx); err != nil || n.Val() != 1 || b.String() != "$1\r\n1\r\n" {
		t.Errorf("%v; %d, %q", err, n.Val(), b.String())
	}
	p.serves(t, fallback.Local)
}

// Pipeline.Do is known by its arguments, like every other command.
func TestPipelineDoIsReplayedByItsArguments(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.primary.Quota(2)
	cmds, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Do(ctx, "SET", "k", "v")
		pipe.Do(ctx, "incr", "n")
		pipe.Do(ctx, "INCR", "n")
		pipe.Do(ctx, "GET", "k")
		return nil
	})
	if err != redis.Nil || cmds[2].(*redis.Cmd).Val() != int64(1) || cmds[3].Err() != redis.Nil { //nolint:errorlint // untouched
		t.Errorf("%v: %v", err, cmds)
	}
	if a, b := number(t, p.primary, "n"), number(t, p.local, "n"); a != 1 || b != 1 {
		t.Errorf("ran %d times on the primary and %d on local, want 1 and 1", a, b)
	}
	p.serves(t, fallback.Local)
	// Administration keeps its pipeline on the primary.
	_, err = p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Do(ctx, "CONFIG", "SET", "maxmemory", "1")
		pipe.Do(ctx, "SET", "k", "v")
		return nil
	})
	if err == nil || strings.Contains(get(t, p.local, "k"), "v") {
		t.Errorf("a pipeline with CONFIG SET ran on local: %v", err)
	}
}
