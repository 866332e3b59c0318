package mirror

import "strings"

// manner says how a command reaches local whose Note is NoteVerbatim or NoteDeadlines, where that Note
// does not say enough.
type manner uint8

const (
	// verbatim is the command as it is: its key, its arguments and nothing else decide what becomes of
	// the key. So it is with all that have no manner.
	verbatim manner = iota
	// counted is the same, and a reply of 0 says that nothing was done.
	counted
	// stored depends on other keys, which local may not have: Unsure. A reply of 0 says that the key is
	// gone.
	stored
	// doubtful is Unsure: it depends on other keys, on chance, or changes keys that it does not name.
	doubtful
	whole
	deleted
	pushed
	eachSet
	eachJSON
	renamed
	moved
	memberMoved
	emptied
	float
	fieldFloat
	trimmed
)

var manners = func() map[string]manner {
	m := map[string]manner{}
	for manner, names := range map[manner]string{
		counted: `hdel srem zrem zremrangebyrank zremrangebyscore zremrangebylex lrem vrem sadd pfadd xack xdel`,
		stored: `sdiffstore sinterstore sunionstore zdiffstore zinterstore zunionstore zrangestore
			geosearchstore georadius georadiusbymember sort bitop`,
		// A graph of vectors and a Top-K are built by chance. A rule between time series makes a write to
		// the one a write to the other.
		doubtful: `copy pfmerge cms.merge tdigest.merge vadd topk.reserve topk.add topk.incrby
			ts.create ts.alter ts.del ts.createrule ts.deleterule xnack`,
		whole:       `set`,
		deleted:     `del unlink`,
		pushed:      `lpush rpush`,
		eachSet:     `mset`,
		eachJSON:    `json.mset`,
		renamed:     `rename`,
		moved:       `move`,
		memberMoved: `smove`,
		emptied:     `flushdb`,
		float:       `incrbyfloat`,
		fieldFloat:  `hincrbyfloat`,
		trimmed:     `xtrim`,
	} {
		for name := range strings.FieldsSeq(names) {
			m[name] = manner
		}
	}
	return m
}()

func mannerOf(name string) manner {
	if m, ok := manners[name]; ok {
		return m
	}
	var low [24]byte
	if len(name) > len(low) {
		return verbatim
	}
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	return manners[string(low[:len(name)])]
}
