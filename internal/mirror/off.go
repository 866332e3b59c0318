package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// A mirror deletes on local what it is not sure of, and in the worst case everything. So it is off, and
// touches nothing, on a local that holds keys which no mirror put there, or that is another service's. It
// looks again with each beat.
//
// While it is off nothing is collected, so nobody will ever know what this process writes. Whoever makes
// local a mirror's after that waits, before anything counts, for all processes that are off to have heard of
// it: empty.lua does. One that was not waited for finds that out when it registers, and local begins anew.

// ErrOff is about a mirror that is off: Off says why.
var ErrOff = errors.New("redis fallback: nothing is mirrored")

var errOthersOff = errors.New("other processes do not mirror yet")

// Off says why nothing is mirrored, and "" where it is.
func (m *Mirror) Off() string {
	if why := m.off.Load(); why != nil {
		return *why
	}
	return ""
}

// stillOff reports that it is not yet time to look again whether local may be mirrored to.
func (f *flusher) stillOff(now time.Time) error {
	m := f.m
	if m.off.Load() == nil {
		return nil
	}
	if now.Sub(f.beaten) < m.cfg.Timing.Beat && !m.adopts.Load() {
		return m.errOff()
	}
	f.beaten = now
	return nil
}

func (m *Mirror) errOff() error { return fmt.Errorf("%w: %s", ErrOff, m.Off()) }

// turnOff ends the collecting, if that is news.
func (f *flusher) turnOff(status string, r []any) error {
	m := f.m
	var why string
	var attrs []slog.Attr
	switch status {
	case "OWNED":
		name := textOf(r, 3)
		why = "local's database " + m.home + " is the mirror of the service " + strconv.Quote(name) + "; give each service a database of local of its own"
		attrs = append(attrs, slog.String("owner", name))
	default:
		n := numberOf(r, 3)
		why = "local's database " + m.home + " holds " + keys(n) + " that no mirror put there; empty it, or run `redis-fallback sync`, which makes local equal to the primary"
		attrs = append(attrs, slog.Int64("keys", n))
	}
	news := m.off.Swap(&why) == nil
	m.wasOff.Store(true)
	m.self.Store(nil)
	f.beaten = time.Now()
	f.unwire()
	f.shelve()
	m.lost.clear()
	m.empty.Store(false)
	m.complete.Store(false)
	f.meet()
	if news {
		m.cfg.Log(slog.LevelWarn, "nothing is mirrored: "+why, attrs...)
	}
	return m.errOff()
}

func keys(n int64) string {
	if n == 1 {
		return "1 key"
	}
	return strconv.FormatInt(n, 10) + " keys"
}

// turnOn begins to collect. The beat that follows says on local that this process is not off any more: not
// before, as a call that ends until then is not collected.
func (f *flusher) turnOn() {
	m := f.m
	if m.off.Load() == nil {
		return
	}
	m.another() // what began before it was off
	f.beaten = time.Time{}
	m.off.Store(nil)
	m.cfg.Log(slog.LevelInfo, "local is mirrored to")
}

// unclaimed hears of calls that have claimed nothing: they write nothing, or began while the mirror was off,
// and then their keys are unsure.
func (m *Mirror) unclaimed(db string, cmds ...redis.Cmder) {
	if !m.wasOff.Load() || m.off.Load() != nil {
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.ops.Reset()
	for _, cmd := range cmds {
		s.ops.Unsure(db, cmd)
	}
	if s.ops.Len() > 0 {
		m.drop(string(s.ops.buf))
		m.rouse()
	}
}

// Adopt makes local this service's mirror, where nobody else has it: what it holds that no mirror put there
// is deleted, in the home database and in these others. It waits until all processes of the service mirror.
// Without it a mirror is off there.
func (m *Mirror) Adopt(ctx context.Context, others ...string) error {
	m.adopts.Store(true)
	defer m.adopts.Store(false)
	if err := m.Flush(ctx); err != nil {
		return err
	}
	fence := m.cfg.Fence()
	args := []any{fence}
	for _, db := range others {
		args = append(args, db)
	}
	n, err := m.scripts.adopt.call(ctx, m.cfg.RDB, args...)
	switch {
	case err != nil:
		return err
	case n == int64(-1) || fence == "":
		return ErrFenced
	case n != int64(0):
		m.cfg.Log(slog.LevelWarn, "what no mirror had put into other databases of local was deleted", slog.Any("keys", n))
	}
	return nil
}
