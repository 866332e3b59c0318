package mirror

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/redis/go-redis/v9"
)

// VerifyOptions are for one Verify. The zero value compares every key and changes nothing.
type VerifyOptions struct {
	Sample int   // so many keys, taken at random; 0 all
	Repair bool  // copy what differs again, and delete what only local has
	Budget int64 // commands that the primary may be sent; 0 any number
	Rate   int   // keys a second; 0 any number
	// Each is called with each difference, after the repair of it.
	Each func(Difference)
	// Progress is called with each batch.
	Progress func(VerifyReport)
}

// Difference is a key that local does not hold as the primary does. Its text is a user's key: nothing for
// a log.
type Difference struct {
	DB, Key  string
	Kind     DifferenceKind
	Repaired bool
}

// DifferenceKind says what is different.
type DifferenceKind string

// The kinds.
const (
	Missing       DifferenceKind = "missing" // on local
	Extra         DifferenceKind = "extra"   // on local: the primary does not have it
	OtherType     DifferenceKind = "type"
	OtherValue    DifferenceKind = "value"
	OtherDeadline DifferenceKind = "expiry" // more than a second apart
)

// VerifyReport counts what a Verify came to.
type VerifyReport struct {
	Keys      int64 // of the primary at the beginning
	Compared  int64
	Same      int64
	Missing   int64
	Extra     int64
	Different int64 // in type, value or expiry
	Repaired  int64 // of these three
	Busy      int64 // written whenever they were looked at: nothing can be said of them
	Commands  int64 // sent to the primary
}

// Left returns how many differences are left.
func (r *VerifyReport) Left() int64 { return r.Missing + r.Extra + r.Different - r.Repaired }

// How a key that differs is looked at again: local may just not have what was written a moment ago.
const (
	verifyLooks = 4
	verifyWait  = 500 * time.Millisecond
	// verifySlack is how far apart two deadlines may be.
	verifySlack = time.Second + grace
	// mostSuspects is how many keys wait for that together.
	mostSuspects = 20_000
)

// Verify compares local with the primary: type, value and expiry of each key, and what only local has.
// Whatever its error, what is reported was compared: ErrRefused, ErrBudget, that of ctx, or of one of the
// servers; with Repair also ErrFenced.
func (c *Copier) Verify(ctx context.Context, o VerifyOptions) (VerifyReport, error) {
	v := &verifying{c: c, o: o, r: newReader(c.Primary, c.Refused), own: newReader(c.Local, nil), seed: maphash.MakeSeed(), pace: pacer{rate: o.Rate}}
	v.r.budget = o.Budget
	defer v.r.close()
	defer v.own.close()
	err := v.run(ctx)
	v.report.Commands = v.r.spent.Load()
	return v.report, err
}

// verifying is one Verify under way.
type verifying struct {
	c      *Copier
	o      VerifyOptions
	r      *reader // of the primary
	own    *reader // of local
	pace   pacer
	report VerifyReport

	seed     maphash.Seed
	suspects []suspect // of the database that is being compared
}

func (v *verifying) run(ctx context.Context) error {
	if v.o.Repair {
		if err := v.c.Mirror.Flush(ctx); err != nil {
			return err
		}
	}
	all, _, err := v.c.databases(ctx, v.r)
	if err != nil {
		return err
	}
	for _, db := range all {
		v.report.Keys += db.keys
	}
	for _, db := range all {
		if v.o.Sample > 0 {
			n := v.o.Sample
			if v.report.Keys > 0 { // each database has its share
				n = int((int64(n)*db.keys + v.report.Keys - 1) / v.report.Keys)
			}
			err = v.sample(ctx, db.name, n)
		} else {
			err = v.everything(ctx, db.name)
		}
		if err == nil {
			err = v.resolve(ctx, db.name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// everything compares a whole database, in both directions.
func (v *verifying) everything(ctx context.Context, db string) error {
	step := &scanStep{count: scanCount}
	for {
		if _, err := v.r.read(ctx, db, nil, step); err != nil {
			return err
		}
		for rest := v.c.wanted(step.keys); len(rest) > 0; {
			n := min(len(rest), readKeys)
			if err := v.compare(ctx, db, rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		if step.cursor = step.next; step.cursor == 0 {
			break
		}
	}
	local := v.c.localIn(db)
	defer local.Close()
	return v.c.extras(ctx, v.r, local, db, "", func(keys []string, _, _ time.Time) error {
		return v.compareSome(ctx, db, keys, true)
	})
}

// sample compares some keys that the primary has, and looks for some of local's on the primary.
func (v *verifying) sample(ctx context.Context, db string, n int) error {
	theirs, err := random(ctx, n, v.r.in(db), v.r.exec)
	if err == nil {
		err = v.compare(ctx, db, v.c.wanted(theirs))
	}
	if err != nil {
		return err
	}
	local := v.c.localIn(db)
	defer local.Close()
	ours, err := random(ctx, n, local, v.own.exec)
	if err != nil {
		return err
	}
	return v.c.absent(ctx, v.r, db, ours, func(keys []string, _, _ time.Time) error {
		return v.compareSome(ctx, db, keys, true)
	})
}

// random asks for keys at random, each once.
func random(ctx context.Context, n int, rdb *redis.Client, exec func(context.Context, redis.Pipeliner) error) ([]string, error) {
	seen := map[string]bool{}
	var keys []string
	for ; n > 0; n -= readKeys {
		pipe := rdb.Pipeline()
		replies := make([]*redis.StringCmd, min(n, readKeys))
		for i := range replies {
			replies[i] = pipe.RandomKey(ctx)
		}
		if err := exec(ctx, pipe); err != nil {
			return nil, err
		}
		for _, reply := range replies {
			if key, err := reply.Result(); err == nil && !seen[key] {
				seen[key] = true
				keys = append(keys, key)
			}
		}
	}
	return keys, nil
}

// compare compares keys in batches.
func (v *verifying) compare(ctx context.Context, db string, keys []string) error {
	for len(keys) > 0 {
		n := min(len(keys), readKeys)
		if err := v.pace.wait(ctx, n); err != nil {
			return err
		}
		if err := v.compareSome(ctx, db, keys[:n], false); err != nil {
			return err
		}
		keys = keys[n:]
		if v.o.Progress != nil {
			v.report.Commands = v.r.spent.Load()
			v.o.Progress(v.report)
		}
	}
	return nil
}
