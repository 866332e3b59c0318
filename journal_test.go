package fallback_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/redistest"
)

// A command that fails, or that changes nothing, leaves no entry; any other leaves one.
func TestWhatFailsLeavesNoEntry(t *testing.T) {
	t.Parallel()
	x := newTrio(t, 3)
	x.seed(t, 0)
	x.pin(t, fallback.Local)
	for _, e := range effects {
		before := x.entries(t)
		err := x.rdb.Do(ctx, x.line(e.name, e.call)...).Err()
		if n := x.entries(t) - before; n == 0 != e.none {
			t.Errorf("%s (%v) left %d entries", e.name, err, n)
		}
	}
}

// FLUSHDB and FLUSHALL leave the journal alone, and empty the primary when their turn comes.
func TestFlushesAreDelivered(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"flushdb", "flushall"} {
		for _, batch := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, in a pipeline %v", name, batch), func(t *testing.T) {
				t.Parallel()
				x := newTrio(t, 3)
				x.seed(t, 0)
				x.seed(t, 3)
				x.pin(t, fallback.Local)
				lines := [][]any{{"set", "before", 1}, {name}, {"set", "after", 1}}
				if batch {
					if _, err := x.rdb.Pipelined(ctx, queue(lines)); err != nil {
						t.Fatal(err)
					}
				} else {
					for _, line := range lines {
						if err := x.rdb.Do(ctx, line...).Err(); err != nil {
							t.Fatal(err)
						}
					}
				}
				if x.entries(t) == 0 {
					t.Fatal("the journal is gone")
				}
				x.pin(t, fallback.Primary)
				x.sameData(t, 0)
				if n := len(contents(t, x.primary, 0)); n != 1 {
					t.Errorf("%d keys are on the primary, want what was written after", n)
				}
				if n, m := len(contents(t, x.primary, 3)), len(contents(t, x.local, 3)); n != m || (n == 0) != (name == "flushall") {
					t.Errorf("another database has %d keys on the primary and %d on local", n, m)
				}
			})
		}
	}
}

// What was acknowledged by a local that is killed and started again, with its log on disk, is delivered
// by a program that was started again as well.
func TestJournalOutlivesLocalAndProgram(t *testing.T) {
	t.Parallel()
	primary, local := redistest.Start(t), redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	first := newProcess(t, primary, local)
	if err := first.h.Pin(fallback.Local); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err := first.rdb.Incr(ctx, "n").Err(); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	local.Kill()
	if err := first.rdb.Incr(ctx, "n").Err(); err == nil {
		t.Error("a local that is gone has acknowledged a write")
	}
	first.stop()
	local.Restart(t)
	second := newProcess(t, primary, local)
	if n, err := second.rdb.Incr(ctx, "n").Result(); n != 101 || err != nil {
		t.Errorf("the first command of another process, while local serves: %d, %v", n, err)
	}
	if err := second.h.Pin(fallback.Primary); err != nil {
		t.Fatal(err)
	}
	if n := primary.Get(t, "n"); n != "101" {
		t.Errorf("n is %q on the primary, want all that was acknowledged", n)
	}
}

// A journal that is full refuses writes, typed, and goes on with reads.
func TestJournalFull(t *testing.T) {
	t.Parallel()
	p := newPair(t, quick(), fallback.WithJournal(fallback.JournalConfig{Entries: 10}))
	if err := p.h.Pin(fallback.Local); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	eventually(t, "a full journal", func() bool {
		err := p.rdb.Incr(ctx, "n").Err()
		if err == nil {
			acknowledged++
		}
		return errors.Is(err, fallback.ErrJournalFull)
	})
	var both *fallback.Error
	for name, call := range map[string]func() error{
		"SET":         func() error { return p.rdb.Set(ctx, "k", 1, 0).Err() },
		"EVAL":        func() error { return p.rdb.Eval(ctx, putScript, []string{"k"}, 1).Err() },
		"a pipeline":  func() error { _, err := p.rdb.Pipelined(ctx, queue([][]any{{"set", "k", 1}})); return err },
		"transaction": func() error { _, err := p.rdb.TxPipelined(ctx, queue([][]any{{"set", "k", 1}})); return err },
		"Watch":       func() error { return add(p.rdb, "k", nil) },
		"by hand": func() error {
			conn := p.rdb.Conn()
			defer conn.Close()
			return conn.Do(ctx, "multi").Err()
		},
	} {
		if err := call(); !errors.Is(err, fallback.ErrJournalFull) || !errors.As(err, &both) {
			t.Errorf("%s: %v, want ErrJournalFull", name, err)
		}
	}
	if n, err := p.rdb.Get(ctx, "n").Int(); n != acknowledged || err != nil {
		t.Errorf("a read: %d, %v; want %d", n, err, acknowledged)
	}
	if p.local.Data().Exists("k") {
		t.Error("a write was refused and done")
	}
	if err := p.h.Pin(fallback.Primary); err != nil {
		t.Fatal(err)
	}
	if n := number(t, p.primary, "n"); n != acknowledged {
		t.Errorf("%d of %d writes are on the primary", n, acknowledged)
	}
}

// Without a journal what was written on local stays there.
func TestWithoutAJournal(t *testing.T) {
	t.Parallel()
	p := newPair(t, fallback.WithJournal(fallback.JournalConfig{Database: -1}))
	if err := p.h.Pin(fallback.Local); err != nil {
		t.Fatal(err)
	}
	if n, err := p.rdb.Incr(ctx, "n").Result(); n != 1 || err != nil || p.local.Count("INCR") != 1 || p.local.Count("EVALSHA") != 0 {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := p.h.Drain(ctx, 0); !errors.Is(err, fallback.ErrNoJournal) {
		t.Errorf("Drain: %v", err)
	}
	if err := p.h.Pin(fallback.Primary); err != nil {
		t.Fatal(err)
	}
	p.serves(t, fallback.Primary)
	if p.primary.Data().Exists("n") {
		t.Error("what local acknowledged is on the primary")
	}
}

// Drain delivers while local goes on serving.
func TestDrainWhileLocalServes(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	if err := p.h.Pin(fallback.Local); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		p.rdb.Incr(ctx, "n")
	}
	if n, err := p.h.Drain(ctx, 0); n == 0 || err != nil || number(t, p.primary, "n") != 20 {
		t.Errorf("%d entries, %v; n is %d on the primary", n, err, number(t, p.primary, "n"))
	}
	p.serves(t, fallback.Local)
	if n, err := p.h.Drain(ctx, 0); n != 0 || err != nil {
		t.Errorf("again: %d entries, %v", n, err)
	}
	p.rdb.Incr(ctx, "n")
	if err := p.h.Pin(fallback.Primary); err != nil {
		t.Fatal(err)
	}
	if number(t, p.primary, "n") != 21 {
		t.Errorf("n is %d on the primary after the return", number(t, p.primary, "n"))
	}
}

// A primary that refuses in the middle of a return keeps local serving; nothing is lost or done twice.
func TestReturnThatIsRefused(t *testing.T) {
	t.Parallel()
	p := newPair(t, quick())
	p.primary.Exhaust()
	for range 300 {
		if err := p.rdb.Incr(ctx, "n").Err(); err != nil {
			t.Fatal(err)
		}
	}
	for quota := 1; p.h.Serving() == fallback.Local; quota += 3 {
		p.primary.Renew()
		p.primary.Quota(quota)
		_ = p.h.Probe(ctx)
		if quota > 5000 {
			t.Fatalf("no return; status %+v\n%s", p.h.Status(), p.log)
		}
	}
	p.primary.Renew()
	eventually(t, "the return", func() bool { return p.h.Serving() == fallback.Primary })
	if n := number(t, p.primary, "n"); n != 300 {
		t.Errorf("n is %d on the primary, want 300", n)
	}
}
