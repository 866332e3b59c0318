package fallback_test

import (
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// A transaction that local does not even let begin is a failure of each of its commands.
func TestTransactionThatLocalRefuses(t *testing.T) {
	t.Parallel()
	x := newTrio(t, 3)
	x.pin(t, fallback.Local)
	if err := x.local.Do(ctx, "acl", "setuser", "default", "-watch").Err(); err != nil {
		t.Fatal(err)
	}
	cmds, err := x.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Eval(ctx, putScript, []string{"k"}, 1)
		p.Set(ctx, "l", 1, 0)
		return nil
	})
	if err == nil {
		t.Error("no error, and nothing has run")
	}
	for _, cmd := range cmds {
		if cmd.Err() == nil {
			t.Errorf("%s has no error, and has not run", cmd.Name())
		}
	}
}

// A script of the program's own may speak of fences, too: it runs once, and its error is the caller's.
func TestScriptThatSaysFenced(t *testing.T) {
	t.Parallel()
	x := newTrio(t, 3)
	x.pin(t, fallback.Local)
	const script = "redis.call('INCR', KEYS[1]) return redis.error_reply('FENCED the token is old')"
	const want = "FENCED the token is old"
	if err := x.rdb.Eval(ctx, script, []string{"n"}).Err(); err == nil || err.Error() != want {
		t.Errorf("Eval: %v", err)
	}
	for name, call := range map[string]func(func(redis.Pipeliner) error) ([]redis.Cmder, error){
		"a pipeline": func(f func(redis.Pipeliner) error) ([]redis.Cmder, error) { return x.rdb.Pipelined(ctx, f) },
		"transaction": func(f func(redis.Pipeliner) error) ([]redis.Cmder, error) {
			return x.rdb.TxPipelined(ctx, f)
		},
	} {
		cmds, _ := call(func(p redis.Pipeliner) error {
			p.Eval(ctx, script, []string{"n"})
			return nil
		})
		if err := cmds[0].Err(); err == nil || err.Error() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n, err := x.rdb.Get(ctx, "n").Int(); n != 3 || err != nil {
		t.Errorf("n is %d, %v after three calls", n, err)
	}
}

// A Conn in the database in which the journal lies writes nothing there.
func TestConnInTheJournalsDatabase(t *testing.T) {
	t.Parallel()
	x := newTrio(t, 3)
	x.pin(t, fallback.Local)
	if err := x.rdb.Set(ctx, "k", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	before := x.entries(t)
	conn := x.rdb.Conn()
	defer conn.Close()
	if err := conn.Select(ctx, 15).Err(); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"FLUSHDB":     func() error { return conn.FlushDB(ctx).Err() },
		"EVAL":        func() error { return conn.Eval(ctx, "return redis.call('FLUSHDB')", nil).Err() },
		"a pipeline":  func() error { _, err := conn.Pipelined(ctx, queue([][]any{{"flushdb"}})); return err },
		"transaction": func() error { _, err := conn.TxPipelined(ctx, queue([][]any{{"flushdb"}})); return err },
		"by hand":     func() error { return conn.Do(ctx, "multi").Err() },
	} {
		if err := call(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if n := x.entries(t); n != before {
		t.Errorf("the journal has %d entries, want %d", n, before)
	}
}

// A Conn that is in a database that local does not have is told so, and nothing runs in another one.
func TestConnInADatabaseThatLocalLacks(t *testing.T) {
	t.Parallel()
	p := newProcess(t, redistest.Start(t, "--databases", "32"), redistest.Start(t))
	conn := p.rdb.Conn()
	defer conn.Close()
	if err := conn.Select(ctx, 20).Err(); err != nil {
		t.Fatal(err)
	}
	if err := p.h.Pin(fallback.Local); err != nil {
		t.Fatal(err)
	}
	if err := p.rdb.Set(ctx, "k", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"SET":  func() error { return conn.Set(ctx, "k", 1, 0).Err() },
		"EVAL": func() error { return conn.Eval(ctx, "return redis.call('FLUSHDB')", nil).Err() },
		"a pipeline": func() error {
			_, err := conn.Pipelined(ctx, queue([][]any{{"set", "k", 1}, {"set", "l", 1}}))
			return err
		},
		"transaction": func() error {
			_, err := conn.TxPipelined(ctx, queue([][]any{{"eval", "return redis.call('FLUSHDB')", 0}, {"set", "k", 1}}))
			return err
		},
	} {
		if err := call(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if n, err := p.h.Drain(ctx, 0); n != 1 || err != nil {
		t.Errorf("%d entries delivered, %v; want that of the other client", n, err)
	}
}
