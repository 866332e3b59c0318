package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// sections returns the parts of the runbook by their headings.
func sections(tb testing.TB) (intro string, by map[string]string) {
	tb.Helper()
	raw, err := os.ReadFile("../docs/runbook.md")
	if err != nil {
		tb.Fatal(err)
	}
	parts := strings.Split(string(raw), "\n## ")
	by = map[string]string{}
	for _, p := range parts[1:] {
		name, text, _ := strings.Cut(p, "\n")
		by[name] = text
	}
	return parts[0], by
}

func TestRunbookHasEachAlert(t *testing.T) {
	t.Parallel()
	intro, by := sections(t)
	alerts := map[string]bool{}
	for _, a := range readAlerts(t) {
		alerts[a.Alert] = true
		text, ok := by[a.Alert]
		if !ok {
			t.Errorf("%s has no section", a.Alert)
		}
		for _, want := range []string{"**Means.**", "**Look at.**", "**Do.**", "redis-fallback "} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: there is no %q", a.Alert, want)
			}
		}
		if _, anchor, _ := strings.Cut(a.Annotations["runbook_url"], "#"); anchor != strings.ToLower(a.Alert) {
			t.Errorf("%s links to the section %q", a.Alert, anchor)
		}
		if a.Labels["severity"] == "critical" && !strings.Contains(intro, "(#"+strings.ToLower(a.Alert)+")") {
			t.Errorf("%s is critical, and the table does not say so", a.Alert)
		}
	}
	for name := range by {
		if !alerts[name] {
			t.Errorf("there is no alert %s", name)
		}
	}
}

var (
	inCode   = regexp.MustCompile("(?s)```sh\n(.*?)```|`([^`\n]+)`")
	flagName = regexp.MustCompile(`--([a-z-]+)`)
	variable = regexp.MustCompile(`REDIS_FALLBACK_[A-Z_]+`)
	markdown = regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`)
)

// TestRunbookCommandsExist asks the program itself about each command and each flag.
func TestRunbookCommandsExist(t *testing.T) {
	t.Parallel()
	tool := filepath.Join(t.TempDir(), "redis-fallback")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", tool, "./cmd/redis-fallback")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	intro, by := sections(t)
	by[""] = intro
	seen := 0
	helps := map[string]string{}
	for name, text := range by {
		last := "" // the command that a flag alone belongs to
		for _, m := range inCode.FindAllStringSubmatch(text, -1) {
			code := strings.TrimSpace(m[1] + m[2])
			if args := strings.Fields(code); args[0] == "redis-fallback" {
				seen++
				last = args[1]
				if _, ok := helps[last]; !ok {
					out, err := exec.CommandContext(t.Context(), tool, last, "--help").CombinedOutput()
					if err != nil {
						t.Errorf("%s: redis-fallback %s: %v", name, last, err)
					}
					helps[last] = string(out)
				}
			} else if !strings.HasPrefix(code, "--") {
				continue
			}
			for _, f := range flagName.FindAllStringSubmatch(code, -1) {
				if last != "" && !regexp.MustCompile(`(?m)^  -`+f[1]+`\b`).MatchString(helps[last]) {
					t.Errorf("%s: redis-fallback %s has no --%s", name, last, f[1])
				}
			}
		}
	}
	if seen < 20 {
		t.Errorf("%d commands were looked for", seen)
	}
}

func TestRunbookNamesWhatExists(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	env, err := os.ReadFile("../env.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range variable.FindAllString(text, -1) {
		if !strings.Contains(string(env), v) {
			t.Errorf("there is no variable %s", v)
		}
	}
	panels := map[string]bool{"nobody": true, "Status, targets": true} // said elsewhere
	for _, p := range readDashboard(t).Panels {
		panels[p.Title] = true
	}
	for _, m := range regexp.MustCompile(`"([A-Z][^"]*)"`).FindAllStringSubmatch(text, -1) {
		if !panels[m[1]] && !strings.HasPrefix(m[1], "$") {
			t.Errorf("the dashboard has no panel %q", m[1])
		}
	}
	for _, m := range markdown.FindAllStringSubmatch(text, -1) {
		if m[1] != "" {
			mustExist(t, "runbook.md", filepath.Join("../docs", m[1]))
		}
	}
	all := documented(t)
	for _, name := range regexp.MustCompile("`(redis_[a-z_]+)`").FindAllStringSubmatch(text, -1) {
		known := false
		for _, re := range all {
			known = known || re.MatchString(name[1])
		}
		if !known {
			t.Errorf("there is no metric %s", name[1])
		}
	}
}
