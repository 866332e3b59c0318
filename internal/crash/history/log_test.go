package history_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/redis-fallback/fallback/internal/crash/history"
)

func TestLogIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	l, err := history.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	want := []*history.Op{
		{By: "w1g0", Seq: 1, Group: 1, Batch: history.Alone, Kind: history.Incr, Key: "c", N: 3, Begin: 10},
		{By: "w1g0", Seq: 2, Group: 2, Batch: history.Pipeline, Kind: history.Add, Key: "s", Value: "w1g0n2;", Begin: 11},
	}
	if err := l.Begin(want); err != nil {
		t.Fatal(err)
	}
	want[0].State, want[0].End, want[0].Server, want[0].Epoch, want[0].Reply = history.Acked, 12, history.Local, 7, "a\tb\nc"
	if err := l.End(want[:1]); err != nil {
		t.Fatal(err)
	}
	want[1].State, want[1].Server, want[1].Epoch = history.Open, history.Either, -1
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("=\tw1g0\t2\ta\t1") // killed in the middle
	f.Close()
	got, err := history.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v %+v, want %+v %+v", got[0], got[1], want[0], want[1])
	}
}

func TestNoValueBeginsAnother(t *testing.T) {
	t.Parallel()
	if a, b := history.Value("w1g1", 1), history.Value("w1g1", 11); a == b[:len(a)] {
		t.Errorf("%q begins %q", a, b)
	}
}
