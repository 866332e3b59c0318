package mirror_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/mirror"
)

// commands are the names in the generated table of commands.
func commands(t *testing.T) []string {
	t.Helper()
	source, err := os.ReadFile("../command/commands_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range regexp.MustCompile(`\{name: "([^"]+)"`).FindAllSubmatch(source, -1) {
		names = append(names, string(m[1]))
	}
	if len(names) < 400 {
		t.Fatalf("%d commands in the table", len(names))
	}
	return names
}

// writes are the names of all writes, and of EVAL and its like.
func writes(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(commands(t), func(name string) bool {
		info, ok := command.Lookup(words(name))
		return !ok || !info.Write
	})
}

// TestEveryWriteHasAnEffect wants a row for each write, and looks at those that are unsure always: a
// name that comes to this list, or leaves it, is to be thought about.
func TestEveryWriteHasAnEffect(t *testing.T) {
	t.Parallel()
	sure, gone, unsure := map[string]bool{}, map[string]bool{}, map[string]bool{}
	all := writes(t)
	for name := range strings.FieldsSeq(otherReplies) {
		sure[name] = true
	}
	for row := range strings.Lines(verbatimRows) {
		if line := strings.TrimSpace(row); line != "" {
			name := nameIn(all, line)
			sure[name] = true
			for _, cmd := range answered(t, words(line), ":1") {
				var ops mirror.Ops
				ops.Effect("", cmd, now)
				if got := opsText(&ops); got != "p k: "+line {
					t.Errorf("%s: %s", line, got)
				}
			}
		}
	}
	for row := range strings.Lines(effectRows) {
		line, ops, ok := strings.Cut(row, " >")
		if !ok {
			continue
		}
		name := nameIn(all, line)
		switch kinds := opKinds(strings.TrimSpace(ops)); {
		case strings.ContainsAny(kinds, "wpcrF"):
			sure[name] = true
		case strings.Trim(kinds, "d") == "" && kinds != "":
			gone[name] = true
		case kinds != "":
			unsure[name] = true
		case strings.Contains(line, "|"):
			if _, ok := unsure[name]; !ok {
				unsure[name] = false
			}
		}
	}
	for _, name := range all {
		sure := sure[name] || gone[name] && !unsure[name]
		if _, ok := unsure[name]; !ok && !sure {
			t.Errorf("%s writes, and no row says what its effect is", name)
		}
		if reason, ok := neverSure[name]; ok == sure {
			t.Errorf("%s: sure at times %v, and the reason why it is not: %q", name, sure, reason)
		}
	}
	for name := range maps.Keys(neverSure) {
		if !slices.Contains(all, name) {
			t.Errorf("%s is no write", name)
		}
	}
}

// nameIn is the name of the command of a line.
func nameIn(all []string, line string) string {
	call := strings.Fields(strings.ToLower(line))
	if len(call) == 1 || slices.Contains(all, call[0]) {
		return call[0]
	}
	return call[0] + " " + call[1]
}

// opKinds are the kinds of operations that are written as effectRows have them.
func opKinds(ops string) string {
	kinds := ""
	for op := range strings.SplitSeq(ops, "; ") {
		if op != "" {
			kinds += op[:1]
		}
	}
	return kinds
}

// otherReplies are the writes that only TestEffectOfOtherReplies has, since their replies are no row.
const otherReplies = `lmpop blmpop zmpop bzmpop zpopmin zpopmax bzpopmin bzpopmax xreadgroup xautoclaim`

// neverSure are the writes whose keys are never known after them, with the reason; but for those that
// say that they left nothing.
var neverSure = map[string]string{
	"eval":              "only the script knows",
	"evalsha":           "only the script knows",
	"fcall":             "only the function knows",
	"function load":     "no key",
	"function delete":   "no key",
	"function flush":    "no key",
	"function restore":  "no key",
	"ft.aliasadd":       "no key",
	"ft.aliasdel":       "no key",
	"ft.aliasupdate":    "no key",
	"ft.alter":          "no key",
	"ft.create":         "no key",
	"ft.dictadd":        "no key",
	"ft.dictdel":        "no key",
	"ft.synupdate":      "no key",
	"ft.dropindex":      "the keys that it deletes are not named",
	"sdiffstore":        "the other keys may not be here",
	"sinterstore":       "the other keys may not be here",
	"sunionstore":       "the other keys may not be here",
	"zdiffstore":        "the other keys may not be here",
	"zinterstore":       "the other keys may not be here",
	"zunionstore":       "the other keys may not be here",
	"zrangestore":       "the other keys may not be here",
	"geosearchstore":    "the other keys may not be here",
	"georadius":         "the other keys may not be here",
	"georadiusbymember": "the other keys may not be here",
	"bitop":             "the other keys may not be here",
	"sort":              "the other keys may not be here",
	"move":              "the other database may have another name here",
	"copy":              "the other key may not be here",
	"pfmerge":           "the other keys may not be here",
	"cms.merge":         "the other keys may not be here",
	"tdigest.merge":     "the other keys may not be here",
	"topk.reserve":      "built by chance",
	"topk.add":          "built by chance",
	"topk.incrby":       "built by chance",
	"vadd":              "built by chance",
	"ts.add":            "rules change other series",
	"ts.alter":          "rules change other series",
	"ts.create":         "rules change other series",
	"ts.createrule":     "rules change other series",
	"ts.decrby":         "rules change other series",
	"ts.del":            "rules change other series",
	"ts.deleterule":     "rules change other series",
	"ts.incrby":         "rules change other series",
	"ts.madd":           "rules change other series",
	"migrate":           "moves keys to a third server",
	"swapdb":            "all keys of two databases",
	"restore-asking":    "what a cluster's nodes send each other",
	"pfdebug":           "for who works on Redis itself",
	"blmovem":           "has no Note yet",
	"lmovem":            "has no Note yet",
	"himport set":       "has no Note yet",
	"increx":            "has no Note yet",
	"msetex":            "has no Note yet",
	"xidmprecord":       "has no Note yet",
	"xnack":             "changes what the reply does not tell",
}
