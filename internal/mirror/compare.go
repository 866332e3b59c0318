package mirror

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// compareSome compares keys, and those that differ again until they do not, or nothing writes them.
// count is false for keys that were not there when the others were listed.
func (v *verifying) compareSome(ctx context.Context, db string, keys []string, count bool) error {
	looks, err := v.look(ctx, db, keys, nil)
	if err != nil {
		return err
	}
	wait := verifyWait
	for i := 1; i < verifyLooks && len(looks.open) > 0; i++ {
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		wait *= 2
		again, err := v.look(ctx, db, looks.keys(), looks)
		if err != nil {
			return err
		}
		looks = again
	}
	busy := int64(0)
	var diffs []Difference
	for _, l := range looks.open {
		if l.busy {
			busy++
			continue
		}
		diffs = append(diffs, Difference{DB: db, Key: l.key, Kind: l.kind})
	}
	r := &v.report
	r.Busy += busy
	if count {
		r.Compared += int64(len(keys))
		r.Same += int64(len(keys) - len(looks.open))
	}
	return v.differ(ctx, db, diffs)
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

// look is what was seen of a key that differs.
type look struct {
	key  string
	kind DifferenceKind
	was  found // on the primary
	busy bool  // it was something else there at the look before
}

type looks struct{ open []look }

func (l *looks) keys() []string {
	keys := make([]string, len(l.open))
	for i := range l.open {
		keys[i] = l.open[i].key
	}
	return keys
}

// look compares keys once. before is the look before, of the same keys.
func (v *verifying) look(ctx context.Context, db string, keys []string, before *looks) (*looks, error) {
	// Local first: what it has and the primary has changed since is seen as that at the next look.
	ours, err := v.own.read(ctx, v.number(db), keys, nil)
	if err != nil {
		return nil, err
	}
	theirs, err := v.r.read(ctx, db, keys, nil)
	if err != nil {
		return nil, err
	}
	l := &looks{}
	var unclear []int
	kinds := make([]DifferenceKind, len(keys))
	for i := range keys {
		if kinds[i] = difference(&theirs[i], &ours[i]); kinds[i] == OtherValue {
			unclear = append(unclear, i)
		}
	}
	if err := v.values(ctx, db, theirs, kinds, unclear); err != nil {
		return nil, err
	}
	for i, kind := range kinds {
		if kind == "" {
			continue
		}
		busy := before != nil && difference(&theirs[i], &before.open[i].was) != ""
		l.open = append(l.open, look{keys[i], kind, theirs[i], busy})
	}
	return l, nil
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

// body is a payload without the version and checksum behind it.
func body(dump string) string { return dump[:max(len(dump)-10, 0)] }

// values compares the values of keys whose payloads differ: a small hash is written in the order in which
// its fields came, and another version writes another way.
func (v *verifying) values(ctx context.Context, db string, theirs []found, kinds []DifferenceKind, which []int) error {
	if len(which) == 0 {
		return nil
	}
	keys := make([]string, len(which))
	for n, i := range which {
		keys[n] = theirs[i].Key
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

// typeOf tells the type of a key from the commands that make it.
func typeOf(commands [][]string) string {
	name := commands[0][0]
	if name[0] == 'x' {
		return "stream"
	}
	return name
}

// plainValue writes a value in the one way that equal values have in common.
func plainValue(commands [][]string) []string {
	pairs := map[string]string{}
	var list []string
	for _, c := range commands {
		args := c[2:]
		switch c[0] {
		case "set", "append":
			if len(list) == 0 {
				list = append(list, "")
			}
			list[0] += args[0]
		case "rpush":
			list = append(list, args...)
		case "sadd":
			for _, m := range args {
				pairs[m] = ""
			}
		case "hset":
			for i := 0; i+1 < len(args); i += 2 {
				pairs[args[i]] = args[i+1]
			}
		case "zadd":
			for i := 0; i+1 < len(args); i += 2 {
				pairs[args[i+1]] = args[i]
			}
		case "hpexpire": // when fields expire is known to the millisecond, and read at two times
		case "xsetid":
			list = append(list, "xsetid "+args[0])
		case "xclaim": // less the time since it was delivered
			list = append(list, strings.Join(append(slices.Clone(args[:4]), args[6:]...), "\x00"))
		case "xgroup": // how many entries a group has read is a guess of the server's
			list = append(list, strings.Join(c[:min(len(c), 5)], "\x00"))
		default: // of a stream
			list = append(list, c[0]+"\x00"+strings.Join(c[1:], "\x00"))
		}
	}
	if len(list) == 1 {
		list[0] = registers(list[0])
	}
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		list = append(list, name, pairs[name])
	}
	return list
}

// registers leaves out of a HyperLogLog the cardinality that the server has counted last, or not yet: a
// PFCOUNT is what changes it.
func registers(value string) string {
	const cached, from = 8, 16 // behind HYLL and the encoding
	if len(value) < from || !strings.HasPrefix(value, "HYLL") || value[4] > 1 {
		return value
	}
	return value[:cached] + value[from:]
}
