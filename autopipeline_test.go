package fallback_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
)

// A batch of an autopipeline is a pipeline: what is refused of it is answered by local, in order, and
// nothing runs twice.
func TestAutoPipelineReplaysWhatWasRefused(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for face, ap := range faces(t, p.rdb, false) {
		p.primary.Renew()
		p.h.Pin(fallback.Primary)
		p.h.Unpin()
		p.primary.Quota(100)
		if ok := increments(ap, face); ok != 200 {
			t.Errorf("%s: %d of 200 succeeded", face, ok)
		}
		if a, b := number(t, p.primary, face), number(t, p.local, face); a != 100 || b != 100 {
			t.Errorf("%s: %d ran on the primary and %d on local, want 100 and 100", face, a, b)
		}
		p.serves(t, fallback.Local)
	}
}

func TestAsyncAutoPipelineKeepsTheOrder(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	ap := faces(t, p.rdb, false)["async"]
	p.primary.Quota(40)
	cmds := make([]*redis.IntCmd, 100)
	for i := range cmds {
		cmds[i] = ap.RPush(ctx, "l", i)
	}
	for i, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	a, _ := p.primary.Data().List("l")
	b, _ := p.local.Data().List("l")
	var want []string
	for i := range cmds {
		want = append(want, fmt.Sprint(i))
	}
	if len(a) != 40 || strings.Join(append(a, b...), " ") != strings.Join(want, " ") {
		t.Errorf("the primary has %v, local %v", a, b)
	}
}

// A command that is alone in its batch, or sent outside of batches, does not touch the primary while
// local serves.
func TestAutoPipelineAlone(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for face, ap := range faces(t, p.rdb, false) {
		p.primary.Renew()
		p.h.Pin(fallback.Primary)
		p.h.Unpin()
		p.primary.LoseReply("INCR", 1)
		if err := ap.Incr(ctx, face).Err(); !errors.Is(err, io.EOF) || number(t, p.primary, face) != 1 {
			t.Errorf("%s: a lost INCR: %v; it ran %d times", face, err, number(t, p.primary, face))
		}
		if v, err := ap.Get(ctx, face).Result(); err != nil || v != "1" {
			t.Errorf("%s: GET %q, %v", face, v, err)
		}
		p.primary.Exhaust()
		refused, ran := p.primary.Refused(), p.primary.Commands()
		for i := range 3 {
			if n, err := ap.Incr(ctx, face).Result(); err != nil || n != int64(i+1) {
				t.Errorf("%s: INCR %d: %d, %v", face, i+1, n, err)
			}
		}
		if v, err := ap.Do(ctx, "get", face).Text(); err != nil || v != "3" {
			t.Errorf("%s: Do: %q, %v", face, v, err)
		}
		if v := ap.DoRaw(ctx, "get", face).Val(); string(v) != "$1\r\n3\r\n" {
			t.Errorf("%s: DoRaw: %q", face, v)
		}
		ap.RPush(ctx, face+"l", "x").Err()
		if v, err := ap.BLPop(ctx, time.Second, face+"l").Result(); err != nil || len(v) != 2 {
			t.Errorf("%s: BLPOP: %v, %v", face, v, err)
		}
		if a, b := p.primary.Refused()-refused, p.primary.Commands()-ran; a != 1 || b != 0 {
			t.Errorf("%s: the primary refused %d commands and ran %d, want the one that tripped", face, a, b)
		}
	}
	if strings.Contains(p.log.String(), "full-duplex") {
		t.Errorf("taken for full duplex:\n%s", p.log)
	}
}

func TestAutoPipelineInAnOutage(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	all := faces(t, p.rdb, false)
	p.primary.Stop()
	for face, ap := range all {
		eventually(t, "an answer of local", func() bool { return ap.Set(ctx, face, "local", 0).Err() == nil })
		if n := increments(ap, face+"n"); n != 200 || number(t, p.local, face+"n") != 200 {
			t.Errorf("%s: %d of 200 succeeded, %d ran on local", face, n, number(t, p.local, face+"n"))
		}
	}
	p.serves(t, fallback.Local)
}
