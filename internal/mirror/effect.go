package mirror

import "github.com/redis/go-redis/v9"

// Effect adds what a command did that the primary acknowledged. db is the database as in Op, at is
// local's time when the call began, the earliest it may have been, in ms since 1970: from there
// relative expiries become absolute ones.
func (o *Ops) Effect(db string, cmd redis.Cmder, at int64) {
	_ = at // what is unsure has no expiry
	o.unsure(db, cmd.Args())
}
