package fallback_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis/go-redis/v9"
)

// TestConformanceHarmlessTwice makes every call of the table two times in a row. Where the command
// table says that this is harmless, the second one must find and leave the same: same reply, same data.
func TestConformanceHarmlessTwice(t *testing.T) {
	t.Parallel()
	all, _ := samples()
	f := newField(t, 3)
	r := bareRig(f)
	defer r.stop()
	harmless := 0
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s := all[name]
		if s.batch != nil || s.dirty || s.shapes != nil && !slices.Contains(s.shapes, single) {
			continue
		}
		f.lay(t, &s)
		var cmds [2]redis.Cmder
		var held [2][2]string
		for i := range cmds {
			cmds[i], _ = s.issue(r.c)
			held[i], _ = f.holds(t, &sample{method: s.method})
		}
		for _, line := range s.cleanup {
			_ = f.control[0].Do(ctx, words(line)...).Err()
		}
		if cmds[0] == nil || !command.HarmlessTwice(command.Of(cmds[0].Args()), cmds[0].Args()) {
			continue
		}
		harmless++
		if one, two := outcomeOf(cmds[0], s.norm), outcomeOf(cmds[1], s.norm); one.text != two.text {
			t.Errorf("%s is said to be harmless twice, and answers\n\t%s, then\n\t%s", name, one.text, two.text)
		}
		if held[0] != held[1] {
			t.Errorf("%s is said to be harmless twice, and changes the data a second time", name)
		}
	}
	t.Logf("%d of %d calls are harmless twice", harmless, len(all))
}
