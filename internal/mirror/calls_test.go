package mirror_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// What an operation costs local beyond its command: at most three calls, those of the batch included.
func TestCallsOfLocal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror()
	const n = 500
	for i := range n {
		write(m, set(fmt.Sprintf("s%d", i), "v"))
		write(m, del(fmt.Sprintf("h%d", i)))
		write(m, hset(fmt.Sprintf("h%d", i), "f", "v"))
	}
	r.flush(m)
	r.check(r.ours.ConfigResetStat(r.ctx).Err())
	batches := m.Stats().Batches
	for i := range n {
		write(m, set(fmt.Sprintf("s%d", i), "v"))
		write(m, hset(fmt.Sprintf("h%d", i), "f", "v"))
	}
	r.flush(m)
	calls := 0
	for line := range strings.SplitSeq(r.ours.Info(r.ctx, "commandstats").Val(), "\r\n") {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		text, _, _ := strings.Cut(rest, ",")
		k, _ := strconv.Atoi(text)
		switch name {
		case "setbit": // claims
		case "set", "hset":
			calls += k
		default:
			calls += k
		}
	}
	batches = m.Stats().Batches - batches
	t.Logf("%d operations in %d batches: %d calls", 2*n, batches, calls)
	if more := calls - 2*n; float64(more)/(2*n) > 3 && batches < 20 {
		t.Errorf("%.1f calls an operation beyond its command", float64(more)/(2*n))
	}
}
