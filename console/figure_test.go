package console_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/console"
)

// Rates are measured between looks: one that comes too soon is no sample, and a long gap says nothing of now.
func TestRates(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(seconds ...float64) (all []time.Time) {
		for _, s := range seconds {
			all = append(all, start.Add(time.Duration(s*float64(time.Second))))
		}
		return all
	}
	for name, c := range map[string]struct {
		primary, local []int64
		at             []time.Time
		want           [][2]float64
	}{
		"the first look":      {[]int64{5}, []int64{7}, at(0), nil},
		"a second later":      {[]int64{5, 25}, []int64{7, 7}, at(0, 1), [][2]float64{{20, 0}}},
		"too soon":            {[]int64{5, 25, 45}, []int64{0, 0, 10}, at(0, 0.5, 1), [][2]float64{{40, 10}}},
		"over two seconds":    {[]int64{0, 10}, []int64{0, 2}, at(0, 2), [][2]float64{{5, 1}}},
		"nobody looked":       {[]int64{0, 10, 20, 30}, []int64{0, 0, 0, 0}, at(0, 1, 60, 61), [][2]float64{{10, 0}, {10, 0}}},
		"older ones are gone": {[]int64{0, 10, 20, 30}, []int64{0, 0, 0, 0}, at(0, 1, 200, 201), [][2]float64{{10, 0}}},
	} {
		if got := console.Rates(c.primary, c.local, c.at); len(got) != len(c.want) || len(got) > 0 && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestBand(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	before := func(d time.Duration) time.Time { return now.Add(-d) }
	trip := func(ago, lasted time.Duration) console.Switch {
		return console.Switch{At: before(ago), From: "primary", To: "local", Lasted: lasted}
	}
	back := func(ago, lasted time.Duration) console.Switch {
		return console.Switch{At: before(ago), From: "local", To: "primary", Lasted: lasted}
	}
	for name, c := range map[string]struct {
		serving string
		since   time.Time
		all     []console.Switch
		want    [][3]any
		from    time.Time
	}{
		"no switch":  {"primary", before(time.Hour), nil, [][3]any{{0, 1000, "primary"}}, before(time.Hour)},
		"on local":   {"local", before(time.Hour), []console.Switch{trip(time.Hour, time.Hour)}, [][3]any{{500, 500, "local"}, {0, 500, "primary"}}, before(2 * time.Hour)},
		"back again": {"primary", before(time.Hour), []console.Switch{back(time.Hour, time.Hour), trip(2*time.Hour, 2*time.Hour)}, [][3]any{{750, 250, "primary"}, {500, 250, "local"}, {0, 500, "primary"}}, before(4 * time.Hour)},
		"a short time on local is seen": {
			"primary", before(6 * time.Hour),
			[]console.Switch{back(6*time.Hour, time.Second), trip(6*time.Hour+time.Second, 12*time.Hour)},
			[][3]any{{666, 334, "primary"}, {666, 3, "local"}, {0, 666, "primary"}},
			before(18*time.Hour + time.Second),
		},
		"a day at most": {"local", before(12 * time.Hour), []console.Switch{trip(12*time.Hour, 240*time.Hour)}, [][3]any{{500, 500, "local"}, {0, 500, "primary"}}, before(24 * time.Hour)},
		"long before":   {"local", before(48 * time.Hour), []console.Switch{trip(48*time.Hour, time.Hour)}, [][3]any{{0, 1000, "local"}}, before(24 * time.Hour)},
	} {
		got, from := console.Band(now, c.serving, c.since, c.all...)
		if !reflect.DeepEqual(got, c.want) || !from.Equal(c.from) {
			t.Errorf("%s: %v from %v, want %v from %v", name, got, from, c.want, c.from)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	rate := func(f float64) *float64 { return &f }
	for got, want := range map[string]string{
		console.Count(int64(0)): "0", console.Count(999): "999", console.Count(1000): "1,000", console.Count(int64(1234567)): "1,234,567",
		console.Size(0): "0 B", console.Size(1023): "1023 B", console.Size(1536): "1.5 KiB", console.Size(1 << 30): "1.0 GiB",
		console.PerSecond(nil): "…", console.PerSecond(rate(2.345)): "2.3", console.PerSecond(rate(12345.6)): "12,346",
		console.Shorten(" upstash ", 16): "upstash", console.Shorten("a-name-that-is-very-long", 8): "a-name-…",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
