package command_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/command"
)

// TestEveryOptionIsKnown wants a call with each option that COMMAND DOCS has of a command whose Note
// depends on its arguments, and that the option is known.
func TestEveryOptionIsKnown(t *testing.T) {
	t.Parallel()
	says := askServer(t, server7(t))
	for _, name := range command.JudgedNames() {
		doc := says[name].doc
		if doc == nil {
			continue // of a later version
		}
		known, unknown := map[string]bool{}, map[string]bool{}
		for _, line := range corpus() {
			if nameOf(line) != name {
				continue
			}
			words := known
			if command.NoteOf(args(line)).Code == command.NoteMulti {
				words = unknown
			}
			for word := range strings.FieldsSeq(strings.ToLower(line)) {
				words[word] = true
			}
		}
		for _, token := range tokens(doc["arguments"]) {
			switch token = strings.ToLower(token); {
			case name == "bitfield" && slices.Contains([]string{"set", "incrby"}, token):
				if known[token] || !unknown[token] {
					t.Errorf("%s %s is to be M", name, token)
				}
			case !known[token]:
				t.Errorf("no call of %s has its option %s, or it is not known", name, token)
			}
		}
	}
}

// tokens returns the words that COMMAND DOCS has among a command's arguments.
func tokens(arguments any) []string {
	var words []string
	list, _ := arguments.([]any)
	for _, a := range list {
		a := pairs(a)
		if token, ok := a["token"].(string); ok {
			words = append(words, token)
		}
		words = append(words, tokens(a["arguments"])...)
	}
	return words
}
