package mirror

import (
	"context"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
)

// suspect is a key that differed when it was looked at.
type suspect struct {
	key  string
	kind DifferenceKind
	was  found  // on the primary, without its value
	sum  uint64 // of that
	busy bool   // it was something else there at the look before
	late bool   // it is none of the keys that are compared: local alone had it
}

// compareSome looks at keys of a database for the first time; late ones do not count as compared.
func (v *verifying) compareSome(ctx context.Context, db string, keys []string, late bool) error {
	some, err := v.look(ctx, db, keys, nil)
	if err != nil {
		return err
	}
	if !late {
		v.report.Compared += int64(len(keys))
		v.report.Same += int64(len(keys) - len(some))
	}
	for i := range some {
		some[i].late = late
	}
	v.suspects = append(v.suspects, some...)
	if len(v.suspects) >= mostSuspects {
		return v.resolve(ctx, db)
	}
	return nil
}

// resolve looks at the suspects of a database again, those that are being written several times, and
// counts what does differ.
func (v *verifying) resolve(ctx context.Context, db string) error {
	open := v.suspects
	v.suspects = nil
	for range verifyLooks {
		if len(open) == 0 {
			return nil
		}
		if err := sleep(ctx, verifyWait); err != nil {
			return err
		}
		var busy []suspect
		for some := range slices.Chunk(open, readKeys) {
			keys := make([]string, len(some))
			for i := range some {
				keys[i] = some[i].key
			}
			again, err := v.look(ctx, db, keys, some)
			if err != nil {
				return err
			}
			v.report.Same += listed(some) - listed(again)
			var diffs []Difference
			for _, s := range again {
				if s.busy {
					busy = append(busy, s)
				} else {
					diffs = append(diffs, Difference{DB: db, Key: s.key, Kind: s.kind})
				}
			}
			if err := v.differ(ctx, db, diffs); err != nil {
				return err
			}
		}
		open = busy
	}
	v.report.Busy += int64(len(open))
	return nil
}

// differ counts differences, and repairs them.
func (v *verifying) differ(ctx context.Context, db string, diffs []Difference) error {
	if len(diffs) == 0 {
		return nil
	}
	if v.o.Repair {
		if err := v.repair(ctx, db, diffs); err != nil {
			return err
		}
	}
	for _, d := range diffs {
		switch d.Kind {
		case Missing:
			v.report.Missing++
		case Extra:
			v.report.Extra++
		case OtherType, OtherValue, OtherDeadline:
			v.report.Different++
		}
		if d.Repaired {
			v.report.Repaired++
		}
		if v.o.Each != nil {
			v.o.Each(d)
		}
	}
	return nil
}

// repair copies keys again, as the primary has them now.
func (v *verifying) repair(ctx context.Context, db string, diffs []Difference) error {
	keys := make([]string, len(diffs))
	for i := range diffs {
		keys[i] = diffs[i].Key
	}
	all, err := v.r.read(ctx, db, keys, nil)
	if err != nil {
		return err
	}
	loaded, err := v.c.load(ctx, all)
	if err != nil {
		return err
	}
	var refused []int
	for i := range diffs {
		diffs[i].Repaired = all[i].left == leftNothing && loaded[i] == Taken
		if loaded[i] == Refused && all[i].Dump != "" {
			refused = append(refused, i)
		}
	}
	if len(refused) == 0 {
		return nil
	}
	if err := v.r.again(ctx, db, all, refused); err != nil {
		return err
	}
	again := make([]found, 0, len(refused))
	for _, i := range refused {
		again = append(again, all[i])
	}
	if loaded, err = v.c.load(ctx, again); err != nil {
		return err
	}
	for n, i := range refused {
		diffs[i].Repaired = again[n].left == leftNothing && loaded[n] == Taken
	}
	return nil
}

// listed counts the suspects that are compared.
func listed(some []suspect) (n int64) {
	for i := range some {
		if !some[i].late {
			n++
		}
	}
	return n
}

// look compares keys, and returns those that differ. before is what was seen of them the last time.
func (v *verifying) look(ctx context.Context, db string, keys []string, before []suspect) ([]suspect, error) {
	// Local first: what the primary has changed since is seen as that at the next look.
	ours, err := v.own.read(ctx, v.number(db), keys, nil)
	if err != nil {
		return nil, err
	}
	theirs, err := v.r.read(ctx, db, keys, nil)
	if err != nil {
		return nil, err
	}
	kinds := make([]DifferenceKind, len(keys))
	var unclear []int
	for i := range keys {
		if kinds[i] = difference(&theirs[i], &ours[i]); kinds[i] == OtherValue {
			unclear = append(unclear, i)
		}
	}
	if err := v.values(ctx, db, keys, kinds, unclear); err != nil {
		return nil, err
	}
	var some []suspect
	for i, kind := range kinds {
		if kind == "" {
			continue
		}
		f := &theirs[i]
		s := suspect{key: keys[i], kind: kind, was: found{Item: Item{Began: f.Began, Ended: f.Ended, TTL: f.TTL, Absent: f.Absent}, left: f.left}}
		s.sum = maphash.String(v.seed, body(f.Dump))
		for _, c := range f.Commands {
			s.sum = 31*s.sum + maphash.String(v.seed, strings.Join(c, "\x00"))
		}
		if before != nil {
			was := &before[i]
			s.late = was.late
			s.busy = s.sum != was.sum || f.Absent != was.was.Absent || deadlines(&s.was, &was.was) != ""
		}
		some = append(some, s)
	}
	return some, nil
}

func (v *verifying) number(db string) string { return strconv.Itoa(v.c.number(db)) }

// difference compares a key as two servers have it. Payloads that differ may still be of one value.
func difference(theirs, ours *found) DifferenceKind {
	switch {
	case theirs.Absent && ours.Absent:
		return ""
	case theirs.Absent:
		return Extra
	case ours.Absent:
		return Missing
	case theirs.left != leftNothing || ours.left != leftNothing || body(theirs.Dump) != body(ours.Dump) || len(theirs.Commands) > 0 || len(ours.Commands) > 0:
		return OtherValue
	}
	return deadlines(theirs, ours)
}

// deadlines compares expiries. Each was read at some moment of its interval.
func deadlines(theirs, ours *found) DifferenceKind {
	if theirs.TTL == 0 && ours.TTL == 0 {
		return ""
	}
	if theirs.TTL == 0 || ours.TTL == 0 {
		return OtherDeadline
	}
	slack := verifySlack + theirs.Ended.Sub(theirs.Began) + ours.Ended.Sub(ours.Began)
	if theirs.Began.Add(theirs.TTL).Sub(ours.Began.Add(ours.TTL)).Abs() > slack {
		return OtherDeadline
	}
	return ""
}

// values compares the values of keys whose payloads differ: a small hash is written in the order in which
// its fields came, and another version writes another way.
func (v *verifying) values(ctx context.Context, db string, all []string, kinds []DifferenceKind, which []int) error {
	if len(which) == 0 {
		return nil
	}
	keys := make([]string, len(which))
	for n, i := range which {
		keys[n] = all[i]
	}
	own, err := v.own.parts(ctx, v.number(db), keys)
	if err != nil {
		return err
	}
	their, err := v.r.parts(ctx, db, keys)
	if err != nil {
		return err
	}
	for n, i := range which {
		switch a, b := &their[n], &own[n]; {
		case a.Absent || b.Absent || a.left == leftChanged || b.left == leftChanged: // since: the next look tells
		case a.left != leftNothing || b.left != leftNothing:
			// Of a type that cannot be taken apart: the payloads are all there is.
		case typeOf(a.Commands) != typeOf(b.Commands):
			kinds[i] = OtherType
		case slices.Equal(plainValue(a.Commands), plainValue(b.Commands)):
			kinds[i] = deadlines(a, b)
		}
	}
	return nil
}
