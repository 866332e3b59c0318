package journal_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/journal"
)

func FuzzParseEntry(f *testing.F) {
	f.Add("1-2", "w||2|0.1=5\x00incr\x00a\x00")
	f.Add("1-2", "t|3|2,3|\x00incr\x00a\x00set\x00b\x00c")
	f.Add("", "|||")
	f.Fuzz(func(t *testing.T, id, text string) {
		e, err := journal.ParseEntry(id, strings.Split(text, "\x00"))
		if err != nil {
			return
		}
		again, err := journal.ParseEntry(e.ID.String(), e.Fields())
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Errorf("%+v became %+v, %v", e, again, err)
		}
	})
}

func FuzzParseRange(f *testing.F) {
	f.Add("*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$4\r\no|||\r\n$0\r\n\r\n")
	f.Add("*-1\r\n")
	f.Add("-ERR no\r\n")
	f.Fuzz(func(_ *testing.T, raw string) {
		_, _ = journal.ParseRange(raw)
	})
}
