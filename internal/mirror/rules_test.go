package mirror_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// script gives apply.lua batches of made-up calls.
type script struct {
	*rig
	text  string
	base  int64 // local's time of the calls' 0, in microseconds
	seq   map[string]int
	fence string
}

func newScript(t *testing.T) *script {
	t.Helper()
	r := newRig(t)
	s := &script{rig: r, text: r.mirror().Apply(), seq: map[string]int{}, fence: "id 1 primary"}
	r.check(r.ours.HDel(r.ctx, "fallback:test:mirror", "void").Err()) // calls may be older than the rig
	s.base = r.ours.Time(r.ctx).Val().UnixMicro() + 10_000
	for _, p := range []string{"7", "8", "9"} {
		r.check(r.ours.HSet(r.ctx, "fallback:test:mirror:processes", p, "1 0 word run 0").Err())
	}
	return s
}

// apply is one batch: lines of "process number from till kind key command…", times in ms. It returns what
// became of each: done, cold, deleted, or skipped as a whole.
func (s *script) apply(lines ...string) string {
	s.tb.Helper()
	p := strings.Fields(lines[0])[0]
	s.seq[p]++
	args := []any{s.fence, p, s.seq[p], 0, "word run 0", ""}
	for _, line := range lines {
		w := strings.Fields(line)
		from, _ := strconv.ParseInt(w[2], 10, 64)
		till, _ := strconv.ParseInt(w[3], 10, 64)
		args = append(args, fmt.Sprintf("@%s %d %d %d %d", w[1], (from+100_000)*1_000_000, (till+100_000)*1_000_000, s.base+from*1000, s.base+till*1000),
			strings.ToUpper(w[4])+strconv.Itoa(len(w)-6), strings.TrimSuffix(w[5], "-"))
		for _, a := range w[6:] {
			args = append(args, a)
		}
	}
	v, err := s.ours.Eval(s.ctx, s.text, nil, args...).Slice()
	s.check(err)
	if v[0] != "OK" {
		return fmt.Sprint(v[0])
	}
	results := make([]string, len(lines))
	for i := range results {
		results[i] = "done"
	}
	for i, name := range map[int]string{3: "cold", 4: "deleted"} {
		for _, at := range v[i].([]any) {
			results[at.(int64)-1] = name
		}
	}
	if n := v[5].(int64); n > 0 {
		results = append(results, fmt.Sprintf("%d skipped", n))
	}
	if n := v[6].(int64); n > 0 {
		results = append(results, fmt.Sprintf("%d failed", n))
	}
	return strings.Join(results, ", ")
}

type step struct {
	lines string // a batch, its lines apart by |
	want  string
}

func TestRules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		steps []step
		want  string // of k on local
	}{
		"in order, of one process": {[]step{{"7 1 0 10 w k set k 1", "done"}, {"7 2 11 12 p k append k 2", "done"}}, "string 12"},
		"in order, of two":         {[]step{{"7 1 0 10 w k set k 1", "done"}, {"8 1 11 12 p k append k 2", "done"}}, "string 12"},
		"at once, of one process":  {[]step{{"7 1 0 10 w k set k 1", "done"}, {"7 2 10 12 w k set k 2", "deleted"}}, ""},
		"at once, of two":          {[]step{{"7 1 0 10 w k set k 1", "done"}, {"8 1 10 12 w k set k 2", "deleted"}}, ""},
		"late, and nothing whole since": {[]step{
			{"7 1 0 1 w k rpush k a", "done"}, {"7 2 8 9 p k rpush k c", "done"}, {"8 1 3 4 p k rpush k b", "deleted"},
		}, ""},
		"before what made it whole":            {[]step{{"7 1 5 6 w k set k 1", "done"}, {"8 1 3 4 w k set k 2", "done, 1 skipped"}}, "string 1"},
		"before it went":                       {[]step{{"7 1 5 6 d k", "done"}, {"8 1 3 4 w k set k 2", "done, 1 skipped"}}, ""},
		"before it, by one process' own clock": {[]step{{"7 2 5 6 w k set k 1", "done"}, {"7 1 3 4 p k append k 2", "done, 1 skipped"}}, "string 1"},
		"unsure does not come back by what is at once": {[]step{
			{"7 1 0 10 w k set k 1", "done"}, {"8 1 5 7 u k", "deleted"}, {"7 2 6 12 w k set k 2", "deleted"},
		}, ""},
		"it does by what comes after":      {[]step{{"8 1 5 7 u k", "deleted"}, {"7 2 8 12 w k set k 2", "done"}}, "string 2"},
		"one call, in order among its own": {[]step{{"7 1 0 10 w k rpush k a|7 1 0 10 p k rpush k b", "done, done"}, {"7 1 0 10 p k rpush k c", "done"}}, "list [a b c]"},
		"one call, not in order to begin with": {[]step{
			{"8 1 5 7 w k set k 9", "done"}, {"7 1 0 10 w k set k 1|7 1 0 10 w k set k 2", "deleted, deleted"},
		}, ""},
		"a part of what is not here":                {[]step{{"7 1 0 1 p k hset k f v", "cold"}}, ""},
		"what was cold is not made by what is late": {[]step{{"7 1 5 6 p k hset k f v", "cold"}, {"8 1 3 4 w k set k 2", "deleted"}}, ""},
		"a part of what has gone":                   {[]step{{"7 1 0 1 d k", "done"}, {"8 1 5 6 p k hset k f v", "done"}}, "hash map[f:v]"},
		"what is whole replaces":                    {[]step{{"7 1 0 1 w k rpush k a", "done"}, {"7 2 5 6 w k rpush k b", "done"}}, "list [b]"},
		"counting at once keeps the highest": {[]step{
			{"7 1 0 1 w k set k 4", "done"},
			{"7 2 2 10 c k set k 6 keepttl", "done"},
			{"8 1 3 9 c k set k 5 keepttl", "done"},
			{"8 2 3 9 c k set k 7 keepttl", "done"},
		}, "string 7"},
		"counting at once beyond the numbers of Lua": {[]step{
			{"7 1 0 1 w k set k 9007199254740993", "done"},
			{"7 2 2 10 c k set k 9007199254740995 keepttl", "done"},
			{"8 1 3 9 c k set k 9007199254740994 keepttl", "done"},
		}, "string 9007199254740995"},
		"counting at once with something else": {[]step{
			{"7 1 0 1 w k set k 4", "done"}, {"7 2 2 5 p k set k 0 keepttl", "done"}, {"8 1 3 9 c k set k 5 keepttl", "deleted"},
		}, ""},
		"counting what is not here":    {[]step{{"7 1 0 1 c k set k 4 keepttl", "cold"}, {"8 1 0 1 c k set k 5 keepttl", "cold"}}, ""},
		"a command that fails":         {[]step{{"7 1 0 1 w k set k 4", "done"}, {"7 2 3 4 p k hset k f v", "deleted, 1 failed"}}, ""},
		"older than all that is known": {[]step{{"7 1 -26000 -25500 w k set k 4", "deleted"}}, ""},
		"not yet as old":               {[]step{{"7 1 -20000 -19000 w k set k 4", "done"}}, "string 4"},
		"a lost call may still run": {[]step{
			{"7 1 0 20000 u k", "deleted"}, {"8 1 100 200 w k set k 1", "deleted"}, {"7 2 300 400 w k set k 2", "deleted"},
		}, ""},
		"flushed, then made":                   {[]step{{"7 1 0 1 f -", "done"}, {"8 1 3 4 w k set k 4", "done"}}, "string 4"},
		"made, then flushed":                   {[]step{{"8 1 3 4 w k set k 4", "done"}, {"7 1 5 6 f -", "done"}}, ""},
		"flushed while it is made":             {[]step{{"7 1 0 5 f -", "done"}, {"8 1 3 6 w k set k 4", "deleted"}}, ""},
		"made before it was flushed, and late": {[]step{{"7 1 5 6 f -", "done"}, {"8 1 3 4 w k set k 4", "done, 1 skipped"}}, ""},
		"made after a flush that is late":      {[]step{{"8 1 5 6 w k set k 4", "done"}, {"7 1 3 4 f -", "done"}}, ""},
		"flushed and made in one call":         {[]step{{"7 1 0 5 w k set k 1|7 1 0 5 f -|7 1 0 5 w k set k 2", "done, done, done"}}, "string 2"},
		"the process' clock is finer":          {[]step{{"7 1 0 1 f -", "done"}, {"7 2 2 3 w k set k 4", "done"}}, "string 4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t)
			for i, step := range c.steps {
				if got := s.apply(strings.Split(step.lines, "|")...); got != step.want {
					t.Errorf("step %d: %s, want %s", i, got, step.want)
				}
			}
			all, err := everything(s.ctx, s.home)
			s.check(err)
			if all["k"] != c.want {
				t.Errorf("k on local is %q, want %q", all["k"], c.want)
			}
		})
	}
}

func TestWhoseBatchesAreRefused(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	refused := func(want string) {
		t.Helper()
		if got := s.apply("7 1 0 1 w k set k 1"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	s.fence = "id 2 primary"
	refused("FENCED")
	s.fence = "id 1 primary"
	refused("done")
	s.seq["7"]--
	refused("STALE")
	s.check(s.ours.HSet(s.ctx, "fallback:test:mirror:processes", "7", "1 0 another run 0").Err())
	refused("GONE")
	s.check(s.ours.HDel(s.ctx, "fallback:test:mirror:processes", "7").Err())
	refused("GONE")
}

func TestACompleteLocalKnowsWhatIsAbsent(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	meta, unsure := "fallback:test:mirror", "fallback:test:mirror:unsure"
	s.check(s.ours.HSet(s.ctx, meta, "complete", "1").Err())
	for _, c := range []step{
		{"7 1 0 1 p new hset new f v", "done"},
		{"7 2 2 3 u k", "deleted"},
		{"7 3 4 5 p k hset k f v", "cold"},
		{"7 4 6 7 w k set k 1", "done"},
		{"7 5 8 9 u gone", "deleted"},
		{"7 6 10 11 d gone", "done"},
		{"7 7 12 13 u other", "deleted"},
	} {
		if got := s.apply(c.lines); got != c.want {
			t.Errorf("%s: %s, want %s", c.lines, got, c.want)
		}
	}
	if got := s.ours.SMembers(s.ctx, unsure).Val(); !slices.Equal(got, []string{"|other"}) {
		t.Errorf("unsure are %v", got)
	}
	s.apply("7 9 14 15 f -")
	if s.ours.HExists(s.ctx, meta, "complete").Val() || s.ours.Exists(s.ctx, unsure).Val() != 0 {
		t.Error("a local that was flushed is complete")
	}
}
