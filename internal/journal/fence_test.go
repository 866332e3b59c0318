package journal_test

import (
	"context"
	"testing"

	"github.com/redis-fallback/fallback/internal/journal"
)

func TestAFenceThatIsGoneIsPutUpAgain(t *testing.T) {
	t.Parallel()
	locals(t, func(t *testing.T, s *journal.Store) {
		t.Helper()
		ctx := context.Background()
		v, err := s.Open(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		if v, _, err = s.Change(ctx, v.Record, journal.Change{What: journal.Trip}); err != nil {
			t.Fatal(err)
		}
		for _, limit := range []int64{0, 1} { // with the journal past a limit it says so
			if err := s.Client().Del(ctx, s.FenceKey()).Err(); err != nil {
				t.Fatal(err)
			}
			f, err := s.Tick(ctx, &journal.Process{ID: "p"}, journal.Limits{Entries: limit, NoNames: true})
			if err != nil {
				t.Fatal(err)
			}
			want := v.Record.Fence()
			if limit > 0 {
				want += " full"
			}
			if got := s.Client().Get(ctx, s.FenceKey()).Val(); got != want || f.Full != (limit > 0) {
				t.Errorf("the fence is %q, want %q; full %v", got, want, f.Full)
			}
		}
	})
}
