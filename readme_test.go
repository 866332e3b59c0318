package fallback_test

import (
	"os"
	"strings"
	"testing"
)

// Every line of Go in the README stands in an Example, which is compiled and run.
func TestReadmeSnippetsAreExamples(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"}": true}
	for line := range strings.SplitSeq(string(examples), "\n") {
		known[strings.TrimSpace(code(line))] = true
	}
	snippets := strings.Split(string(readme), "```go\n")[1:]
	if len(snippets) == 0 {
		t.Fatal("the README has no Go in it")
	}
	for _, s := range snippets {
		s, _, _ = strings.Cut(s, "```")
		for line := range strings.SplitSeq(strings.TrimSpace(s), "\n") {
			if line = strings.TrimSpace(code(line)); line != "" && !known[line] {
				t.Errorf("this line of the README stands in no Example: %s", line)
			}
		}
	}
	for _, f := range []string{"docs/performance.md", "docs/go-redis.md", "docs/data.md", "docs/metrics.md", "docker-compose.yml"} {
		if _, err := os.Stat(f); err != nil {
			t.Errorf("the README speaks of %s: %v", f, err)
		}
	}
}

// code is a line without its comment.
func code(line string) string {
	before, _, _ := strings.Cut(line, " // ")
	return before
}

// The settings' table of the README and the environment know the same variables.
func TestReadmeNamesEveryVariable(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(readme), "`…_", "`REDIS_FALLBACK_BREAKER_")
	env, err := os.ReadFile("env.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, part := range strings.Split(string(env), `"REDIS_`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		if strings.ContainsAny(name, " :") {
			continue
		}
		n++
		if !strings.Contains(text, "REDIS_"+name) {
			t.Errorf("the README does not name REDIS_%s", name)
		}
	}
	if n < 12 {
		t.Errorf("only %d variables found in env.go: this test has gone blind", n)
	}
}
