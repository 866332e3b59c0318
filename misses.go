package fallback

import (
	"slices"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis/go-redis/v9"
)

// missed counts a read for which local had nothing. Whether the primary has something, nobody can say
// there and then.
func (h *Hook) missed(class command.Class, cmd redis.Cmder, err error) {
	if class.Has(command.Read) && empty(cmd, err) {
		h.misses.Add(1)
	}
}

// missedIn is the same for a batch.
func (h *Hook) missedIn(part []redis.Cmder) {
	for _, cmd := range part {
		h.missed(command.Of(cmd.Args()), cmd, cmd.Err())
	}
}

// empty reports a reply that a key which is not there leads to.
func empty(cmd redis.Cmder, err error) bool {
	if err != nil {
		return err == redis.Nil //nolint:errorlint // as go-redis returns it
	}
	switch cmd := cmd.(type) {
	case *redis.MapStringStringCmd:
		return len(cmd.Val()) == 0
	case *redis.StringSliceCmd:
		return len(cmd.Val()) == 0
	case *redis.ZSliceCmd:
		return len(cmd.Val()) == 0
	case *redis.XMessageSliceCmd:
		return len(cmd.Val()) == 0
	case *redis.SliceCmd: // MGET, HMGET
		return slices.Contains(cmd.Val(), nil)
	case *redis.IntCmd: // EXISTS, STRLEN, LLEN and so on: there are no empty keys
		return cmd.Val() == 0
	}
	return false
}

// touch tells that a key is in use, so that it is read to local if it is not there.
func (h *Hook) touch(in *instance, args []any) {
	if h.mirrors() == nil || h.era.Load().fence == "" {
		return
	}
	var few [4]int
	at, ok := command.AppendKeys(few[:0], args)
	if !ok || len(at) != 1 {
		return
	}
	db := ""
	if s := in.seat.Load(); s != nil {
		db = s.worn.db
	}
	if key, ok := args[at[0]].(string); ok {
		h.share.hydrator.Touch(db, key)
	}
}

// sampleFor is how many reads there are for one touch: few enough that they cost nothing, and more than
// can be read within the share of the commands that hydration has, at two commands for a key.
func sampleFor(share float64) uint32 {
	return uint32(min(max(1/share, 1), 32)) //nolint:gosec // from 1 to 32
}
