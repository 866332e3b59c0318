package journal

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/open.lua
var openLua string

//go:embed lua/change.lua
var changeLua string

var (
	openScript   = redis.NewScript(openLua)
	changeScript = redis.NewScript(changeLua)
)

// View is the record as it was at a moment of local's clock.
type View struct {
	Record *Record
	Now    time.Time
}

// Open returns the record, and makes it where there is none. address is a hash of the primary's
// address, for a record that is made now.
func (s *Store) Open(ctx context.Context, address string) (View, error) {
	reply, err := openScript.Run(ctx, s.rdb, []string{s.state(), s.fence()}, rand.Text(), address).Slice()
	if err != nil {
		return View{}, unfit(err)
	}
	return parseView(reply)
}

func parseView(reply []any) (View, error) {
	if len(reply) < 2 {
		return View{}, errRecord
	}
	now, err := strconv.ParseInt(fmt.Sprint(reply[0]), 10, 64)
	if err != nil {
		return View{}, errRecord
	}
	r, err := parseRecord(reply[1])
	return View{Record: r, Now: time.UnixMilli(now)}, err
}

// What is one of the changes of the record.
type What string

// The changes. Each is made only if the record still has the epoch it is asked for under.
const (
	Trip   What = "trip"   // primary to local: a journal is opened
	Shut   What = "shut"   // local to closing: the journal takes no more
	Undo   What = "undo"   // closing to local: the primary refuses again
	Late   What = "late"   // the same, by anybody, once closing has lasted too long
	Finish What = "finish" // closing to primary, if all of the shut journal has been delivered
	Pins   What = "pin"    // nothing but the pin
)

// Change is a change that is wanted.
type Change struct {
	What   What
	Reason string
	Cause  string
	Kind   string
	Limit  int64
	Usage  int64
	Pin    *Serving // nil leaves it as it is
	By     string
	// Address is a hash of the primary's address, for a record that has none yet.
	Address string
}

// Change makes a change of the record from, and returns the record that holds then, whether or not it
// is the one that was wanted.
func (s *Store) Change(ctx context.Context, from *Record, c Change) (View, bool, error) {
	pin := "="
	if c.Pin != nil {
		pin = string(*c.Pin)
	}
	wait := ClosingTime
	if c.What == Finish {
		wait = Retention
	}
	reply, err := changeScript.Run(ctx, s.rdb,
		[]string{s.state(), s.fence(), s.stream(), s.kept(), s.deadlines(), s.redo(), s.names()},
		from.ID, strconv.FormatUint(from.Epoch, 10), string(c.What), s.Channel(), c.By,
		c.Reason, c.Cause, c.Kind, c.Limit, c.Usage, pin, wait.Milliseconds(), c.Address).Slice()
	if err != nil {
		return View{}, false, unfit(err)
	}
	if len(reply) != 3 {
		return View{}, false, errRecord
	}
	if fields, ok := reply[2].([]any); ok && len(fields) == 0 {
		return View{}, false, ErrGone
	}
	v, err := parseView(reply[1:])
	done, _ := reply[0].(int64)
	return v, done == 1, err
}

// ErrGone is about a local without a record: it has lost what it had.
var ErrGone = errors.New("redis fallback: local has no record; what it held is lost")
