package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Errors of local that end a copy.
var (
	// ErrMemory is about a local without the memory for more. What is left of it is the journal's.
	ErrMemory = errors.New("redis fallback: local has used as much of its maxmemory as copies may")
	// ErrLocalRefuses is about a local that takes none of what it is given.
	ErrLocalRefuses = errors.New("redis fallback: local refuses what it is given")
)

// How much is read at once.
const (
	readKeys  = 1000
	readBytes = 8 << 20
	scanCount = 1000
)

// Copier copies from the primary to local, and compares the two. Its fields are set before it is used and
// not changed after. One Sync runs at a time for a local; whoever started last goes on.
type Copier struct {
	// Primary is a client of the primary whose database is that of the user's client. Every other one is
	// reached by clients made from its options.
	Primary *redis.Client
	// Local is a client of local in the journal's database.
	Local *redis.Client
	// Mirror loads what was read.
	Mirror Target
	// Name is the service's; Database is the number of the journal's database on local, Home that of the
	// user's keys.
	Name           string
	Database, Home int
	// Filter says which keys local is to hold; nil: all.
	Filter func(key string) bool
	// Refused reports an error reply of the primary that says that it takes no commands now.
	Refused func(error) bool
}

// Target is what copies are given to: a Mirror.
type Target interface {
	Load(context.Context, []Item) ([]Loaded, error)
	Track(context.Context) (bool, error)
	Complete(context.Context) (bool, error)
	UnsureKey() string
	MetaKey() string
	Flush(context.Context) error
	Adopt(ctx context.Context, others ...string) error
}

// number is where a database of the primary lies on local.
func (c *Copier) number(db string) int {
	if n, err := strconv.Atoi(db); err == nil {
		return n
	}
	return c.Home
}

// database is one of the primary's.
type database struct {
	name string // "" the home database
	keys int64
}

// databases asks which databases the primary has, the home database first, and how many keys are in each.
// Those whose number is another's on local are left out, with how many keys that leaves out.
func (c *Copier) databases(ctx context.Context, r *reader) (all []database, unmapped int64, err error) {
	pipe := r.in("").Pipeline()
	size, info := pipe.DBSize(ctx), pipe.Do(ctx, "info", "keyspace")
	if err := r.exec(ctx, pipe); err != nil {
		return nil, 0, err
	}
	if err := size.Err(); err != nil {
		return nil, 0, err
	}
	all = []database{{"", size.Val()}}
	text, _ := info.Text() // a service with one database may not say
	for db, n := range keyspace(text) {
		switch {
		case db == c.Primary.Options().DB:
		case db == c.Home || db == c.Database:
			unmapped += n
		default:
			all = append(all, database{strconv.Itoa(db), n})
		}
	}
	slices.SortFunc(all, func(a, b database) int { return strings.Compare(a.name, b.name) })
	return all, unmapped, nil
}

// keyspace reads the section of INFO of that name.
func keyspace(info string) map[int]int64 {
	m := map[int]int64{}
	for line := range strings.Lines(info) {
		var db int
		var n int64
		if _, err := fmt.Sscanf(line, "db%d:keys=%d", &db, &n); err == nil {
			m[db] = n
		}
	}
	return m
}

// wants reports whether local is to hold a key. Those by which a delivery knows the primary again, and how
// far it is, are not the user's.
func (c *Copier) wants(key string) bool {
	if rest, ok := strings.CutPrefix(key, "fallback:"+c.Name+":"); ok && (rest == "primary" || strings.HasPrefix(rest, "position:")) {
		return false
	}
	return c.Filter == nil || c.Filter(key)
}

// wanted returns the keys that local is to hold.
func (c *Copier) wanted(keys []string) []string {
	some := make([]string, 0, len(keys))
	for _, key := range keys {
		if c.wants(key) {
			some = append(some, key)
		}
	}
	return some
}

// room fails where local has no memory to spare.
func (c *Copier) room(ctx context.Context) error {
	info, err := c.Local.Info(ctx, "memory").Result()
	if err != nil {
		if _, ok := errors.AsType[redis.Error](err); ok {
			return nil // it does not say
		}
		return err
	}
	var used, most int64
	for line := range strings.Lines(info) {
		_, _ = fmt.Sscanf(line, "used_memory:%d", &used)
		_, _ = fmt.Sscanf(line, "maxmemory:%d", &most)
	}
	if most > 0 && used > most/100*memoryStop {
		return ErrMemory
	}
	return nil
}

// memoryStop is the percentage of local's maxmemory at which copies stop.
const memoryStop = 70

// load loads a batch, in loads of bounded size, and returns what became of each key. Keys that were left
// out are not loaded.
func (c *Copier) load(ctx context.Context, all []found) ([]Loaded, error) {
	items := make([]Item, 0, len(all))
	for i := range all {
		if all[i].left == leftNothing {
			items = append(items, all[i].Item)
		}
	}
	if len(items) == 0 {
		return make([]Loaded, len(all)), nil
	}
	loaded, err := c.Mirror.Load(ctx, items)
	if err != nil {
		return nil, err
	}
	if slices.Contains(loaded, Fenced) {
		return nil, ErrFenced
	}
	if len(items) == len(all) {
		return loaded, nil
	}
	spread, n := make([]Loaded, len(all)), 0
	for i := range all {
		if all[i].left == leftNothing {
			spread[i] = loaded[n]
			n++
		}
	}
	return spread, nil
}

// pacer keeps to a rate.
type pacer struct {
	rate  int // a second; 0 any
	began time.Time
	n     int64
}

// wait waits until n more may be done.
func (p *pacer) wait(ctx context.Context, n int) error {
	if p.rate <= 0 {
		return ctx.Err()
	}
	if p.began.IsZero() {
		p.began = time.Now()
	}
	due := p.began.Add(time.Duration(float64(p.n) / float64(p.rate) * float64(time.Second)))
	p.n += int64(n)
	return sleep(ctx, time.Until(due))
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
