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
