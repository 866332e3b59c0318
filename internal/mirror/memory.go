package mirror

import (
	"log/slog"
	"math/bits"
	"strconv"
	"strings"
)

// Of the memory that local may take the mirror leaves the rest to the journal.
const (
	stopAt = 70 // in a hundred
	goOnAt = 65
)

// crowdedMemory reports whether local has no room for the mirror, from what INFO memory said.
func crowdedMemory(info string, stopped bool) bool {
	limit, _ := strconv.ParseInt(infoField(info, "maxmemory"), 10, 64)
	used, _ := strconv.ParseInt(infoField(info, "used_memory"), 10, 64)
	if limit <= 0 {
		return false
	}
	if stopped {
		return used >= limit/100*goOnAt
	}
	return used >= limit/100*stopAt
}

// stop begins or ends the time in which keys are deleted and none is written.
func (f *flusher) stop(is bool) {
	if f.m.stopped.Swap(is) == is {
		return
	}
	if is {
		f.m.cfg.Log(slog.LevelWarn, "local is nearly full: the mirror stops, and deletes what changes")
	} else {
		f.m.cfg.Log(slog.LevelInfo, "local has room again: the mirror goes on")
	}
}

// infoField returns a field of INFO.
func infoField(info, name string) string {
	for line := range strings.SplitSeq(info, "\n") {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func trailing(word uint64) int { return bits.TrailingZeros64(word) }
