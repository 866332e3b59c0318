package fallback_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback"
)

func TestHistory(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	if past := p.h.History(); len(past) != 0 {
		t.Errorf("nothing has happened, and there is %+v", past)
	}
	p.primary.Exhaust()
	if err := p.rdb.Set(ctx, "k", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	past := p.h.History()
	if len(past) != 1 || past[0].To != fallback.Local || past[0].Reason != fallback.ReasonQuota ||
		!strings.Contains(past[0].CauseText(), "max requests limit exceeded") {
		t.Errorf("%+v", past)
	}
	past[0].Reason = "changed by the caller"
	if p.h.History()[0].Reason != fallback.ReasonQuota {
		t.Error("a caller can change what is remembered")
	}
	for range 60 {
		if err := errors.Join(p.h.Pin(fallback.Local), p.h.Unpin()); err != nil {
			t.Fatal(err)
		}
	}
	past = p.h.History()
	if len(past) != 100 || past[99].Epoch != p.h.Status().Epoch || past[0].Epoch != past[99].Epoch-99 {
		t.Errorf("%d switches, from %d to %d; the epoch is %d", len(past), past[0].Epoch, past[len(past)-1].Epoch, p.h.Status().Epoch)
	}
}

// A reply that is not known may hold keys and values.
func TestCauseTextShowsNoReply(t *testing.T) {
	t.Parallel()
	ev := fallback.Event{Cause: unknownReplyError("MISCONF " + secret)}
	if got := ev.CauseText(); got != "MISCONF" {
		t.Errorf("%q", got)
	}
	if got := (fallback.Event{}).CauseText(); got != "" {
		t.Errorf("%q without a cause", got)
	}
}

type unknownReplyError string

func (r unknownReplyError) Error() string { return string(r) }
func (unknownReplyError) RedisError()     {}
