package fallback_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback"
)

// A fence that was evicted, or deleted by hand, is put back by who misses it: the record says what it was.
func TestFenceThatIsGoneIsPutBack(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	if err := p.h.Pin(fallback.Local); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func() error{
		"INCR":        func() error { return p.rdb.Incr(ctx, "n").Err() },
		"EVAL":        func() error { return p.rdb.Eval(ctx, "return redis.call('INCR', 'n')", nil).Err() },
		"a pipeline":  func() error { _, err := p.rdb.Pipelined(ctx, queue([][]any{{"incr", "n"}, {"get", "n"}})); return err },
		"transaction": func() error { _, err := p.rdb.TxPipelined(ctx, queue([][]any{{"incr", "n"}})); return err },
	}
	for name, call := range calls {
		if !p.local.Data().DB(15).Del("fallback:upstash:fence") {
			t.Fatal("there was no fence")
		}
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := p.h.Pin(fallback.Primary); err != nil {
		t.Fatal(err)
	}
	if n := number(t, p.primary, "n"); n != len(calls) {
		t.Errorf("n is %d on the primary, want %d", n, len(calls))
	}
}

// A local that has gone back to an older record, being a replica that did not hear of the last switch, is an
// error of each write, not a wait without an end.
func TestRecordThatGoesBack(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	if err := p.h.Pin(fallback.Local); err != nil {
		t.Fatal(err)
	}
	if err := p.rdb.Incr(ctx, "n").Err(); err != nil {
		t.Fatal(err)
	}
	local := p.local.Data().DB(15)
	fence, err := local.Get("fallback:upstash:fence")
	if err != nil {
		t.Fatal(err)
	}
	id, _, _ := strings.Cut(fence, " ")
	local.HSet("fallback:upstash:state", "epoch", "0")
	if err := local.Set("fallback:upstash:fence", id+" 0 local"); err != nil {
		t.Fatal(err)
	}
	var both *fallback.Error
	for name, call := range map[string]func() error{
		"INCR":        func() error { return p.rdb.Incr(ctx, "n").Err() },
		"EVAL":        func() error { return p.rdb.Eval(ctx, "return redis.call('INCR', 'n')", nil).Err() },
		"a pipeline":  func() error { _, err := p.rdb.Pipelined(ctx, queue([][]any{{"incr", "n"}})); return err },
		"transaction": func() error { _, err := p.rdb.TxPipelined(ctx, queue([][]any{{"incr", "n"}})); return err },
	} {
		if err := call(); !errors.As(err, &both) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := number(t, p.local, "n"); n != 1 {
		t.Errorf("n is %d on local, want 1", n)
	}
}
