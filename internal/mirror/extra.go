package mirror

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// existsKeys is how many keys one EXISTS asks for: a hosted Redis bills it as one command.
const existsKeys = 100

// sweep deletes on local what the primary does not have in a database: it was there before there was a
// mirror.
func (s *syncing) sweep(ctx context.Context, db string) error {
	local := s.c.localIn(db)
	defer local.Close()
	return s.c.extras(ctx, s.r, local, db, s.o.Match, func(keys []string, began, ended time.Time) error {
		items := make([]Item, len(keys))
		for i, key := range keys {
			items[i] = Item{DB: db, Key: key, Absent: true, Began: began, Ended: ended}
		}
		loaded, err := s.c.Mirror.Load(ctx, items)
		if err != nil {
			return err
		}
		for _, l := range loaded {
			switch l {
			case Taken:
				s.report.Extra++
			case Fenced:
				return ErrFenced
			case Newer, Refused: // it was written meanwhile
			}
		}
		return nil
	})
}

// localIn returns a client of local for a database of the primary.
func (c *Copier) localIn(db string) *redis.Client {
	opts := *c.Local.Options()
	opts.DB, opts.Protocol = c.number(db), 2
	return redis.NewClient(&opts)
}

// extras lists the keys that local has in a database and the primary has not, with the time in which
// that was found.
func (c *Copier) extras(ctx context.Context, r *reader, local *redis.Client, db, match string, each func(keys []string, began, ended time.Time) error) error {
	for cursor := uint64(0); ; {
		keys, next, err := local.Scan(ctx, cursor, match, scanCount).Result()
		if err != nil {
			return err
		}
		if err := c.absent(ctx, r, db, keys, each); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// absent finds those of some keys that the primary does not have: EXISTS of many says how many there are,
// and a list of which some are missing is halved until it says which.
func (c *Copier) absent(ctx context.Context, r *reader, db string, keys []string, each func(keys []string, began, ended time.Time) error) error {
	var lists [][]string
	for some := c.wanted(keys); len(some) > 0; {
		n := min(len(some), existsKeys)
		lists, some = append(lists, some[:n]), some[n:]
	}
	for len(lists) > 0 {
		pipe := r.in(db).Pipeline()
		counts := make([]*redis.IntCmd, len(lists))
		for i, list := range lists {
			counts[i] = pipe.Exists(ctx, list...)
		}
		began := time.Now()
		if err := r.exec(ctx, pipe); err != nil {
			return err
		}
		ended := time.Now()
		var missing []string
		var halves [][]string
		for i, list := range lists {
			n, err := counts[i].Result()
			switch {
			case err != nil:
				return err
			case n == int64(len(list)):
			case n == 0:
				missing = append(missing, list...)
			default:
				half := len(list) / 2
				halves = append(halves, list[:half], list[half:])
			}
		}
		if len(missing) > 0 {
			if err := each(missing, began, ended); err != nil {
				return err
			}
		}
		lists = halves
	}
	return nil
}
