package fallback_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every row of docs/go-redis.md names a test, and every test it names exists.
func TestGoRedisTableIsTested(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	exists := map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			exists[m[1]] = true
		}
	}
	doc, err := os.ReadFile("docs/go-redis.md")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile("`(Test[A-Z]\\w+)`")
	rows := 0
	for line := range strings.SplitSeq(string(doc), "\n") {
		named := name.FindAllStringSubmatch(line, -1)
		for _, m := range named {
			if !exists[m[1]] && m[1] != "TestGoRedis" {
				t.Errorf("docs/go-redis.md names a test that does not exist: %s", m[1])
			}
		}
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| feature") {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if !name.MatchString(cells[len(cells)-1]) {
			t.Errorf("docs/go-redis.md: this row names no test: %s", line)
		}
	}
	if rows < 20 {
		t.Errorf("only %d rows: this test has gone blind", rows)
	}
}

// Every promise of docs/data.md names a test, and every test it names exists, here or below.
func TestDataPromisesAreTested(t *testing.T) {
	t.Parallel()
	exists := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			exists[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("docs/data.md")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile("`(Test[A-Z]\\w+)`")
	for _, m := range name.FindAllStringSubmatch(string(doc), -1) {
		if !exists[m[1]] {
			t.Errorf("docs/data.md names a test that does not exist: %s", m[1])
		}
	}
	_, promised, ok := strings.Cut(string(doc), "## Promised\n")
	promised, _, ends := strings.Cut(promised, "\n## ")
	if !ok || !ends {
		t.Fatal("docs/data.md has no section of promises any more")
	}
	rows := 0
	for line := range strings.SplitSeq(promised, "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| what |") {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if !name.MatchString(cells[len(cells)-1]) {
			t.Errorf("docs/data.md: this promise names no test: %s", line)
		}
	}
	if rows < 12 {
		t.Errorf("only %d promises: this test has gone blind", rows)
	}
}
