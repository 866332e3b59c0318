package mirror

import (
	"context"
	"crypto/sha1" //nolint:gosec // the name that Redis gives a script
	_ "embed"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/order.lua
var orderLua string

//go:embed lua/adopt.lua
var adoptLua string

//go:embed lua/apply.lua
var applyLua string

//go:embed lua/load.lua
var loadLua string

//go:embed lua/register.lua
var registerLua string

//go:embed lua/beat.lua
var beatLua string

//go:embed lua/leave.lua
var leaveLua string

//go:embed lua/forget.lua
var forgetLua string

//go:embed lua/empty.lua
var emptyLua string

//go:embed lua/partial.lua
var partialLua string

//go:embed lua/scan.lua
var scanLua string

//go:embed lua/complete.lua
var completeLua string

// scripts are those of one mirror: the names of its keys are part of their text, since arguments cost
// more.
type scripts struct {
	apply, load, register, beat, leave, forget, empty, adopt, partial, scan, complete script
}

type script struct{ text, hash string }

// Times of the protocol, in microseconds.
const (
	// window is how long one hash of what is known of keys is written; it is read as long again.
	window = 30 * time.Second
	// horizon is the age from which a call is not ordered any more. It is less than window by more than
	// the clocks can differ.
	horizon = 25 * time.Second
	// doubts is how many keys a local may be unsure of and still be complete but for them.
	doubts = 100_000
	// grace is by how much keys live longer on local, skew by how much the clocks of the two servers may differ.
	grace = 300 * time.Millisecond
	skew  = 100 * time.Millisecond
	// slow and slowest are how uncertain the deadline may be that a call has set, or that was read.
	slow    = time.Second
	slowest = 10 * time.Second
)

// mirrorsKey is the hash, in the journal's database, of whose mirror each database of local is: the time of
// its last sign of life, in ms, and its name. It is owned by it for as long after that.
const (
	mirrorsKey = "fallback:mirrors"
	owned      = 24 * time.Hour
)

func newScripts(names keyNames, cfg Config) scripts {
	text := func(s string) string { return "'" + luaQuote.Replace(s) + "'" }
	quote := func(what string) string { return text(names.key(what)) }
	head := fmt.Sprintf("local DATABASE, HOME = '%d', '%d'\n", cfg.Database, cfg.Home) +
		fmt.Sprintf("local WINDOW, HORIZON, DOUBTS = %d, %d, %d\n", window.Microseconds(), horizon.Microseconds(), doubts) +
		fmt.Sprintf("local GRACE, SKEW, SLOW, SLOWEST = %d, %d, %d, %d\n", grace.Milliseconds(), skew.Milliseconds(), slow.Milliseconds(), slowest.Milliseconds()) +
		"local FENCE, PARTIAL, META = " + quote("fence") + ", " + quote("partial") + ", " + quote("mirror") + "\n" +
		"local PROCESSES, UNSURE, DBS = " + quote("mirror:processes") + ", " + quote("mirror:unsure") + ", " + quote("mirror:dbs") + "\n" +
		"local RECENT, CLAIMS = " + quote("mirror:recent:") + ", " + quote("mirror:claims:") + "\n" +
		"local MIRRORS, NAME, OFF = " + text(mirrorsKey) + ", " + text(cfg.Name) + ", " + quote("mirror:off") + "\n" +
		fmt.Sprintf("local OWNED, KEEP = %d, %t\n", owned.Milliseconds(), Mutate.KeepUnsure)
	of := func(body string) script {
		body = head + body
		sum := sha1.Sum([]byte(body)) //nolint:gosec // the name that Redis gives a script
		return script{body, hex.EncodeToString(sum[:])}
	}
	return scripts{
		apply: of(orderLua + applyLua), load: of(orderLua + loadLua), register: of(registerLua), beat: of(beatLua),
		leave: of(leaveLua), forget: of(forgetLua), empty: of(emptyLua), adopt: of(adoptLua), partial: of(partialLua), scan: of(scanLua),
		complete: of(completeLua),
	}
}

var luaQuote = strings.NewReplacer("\\", "\\\\", "'", "\\'", "\n", "\\n", "\r", "\\r", "\x00", "\\0")

// scriptHead is how many arguments stand before a script's own.
const scriptHead = 3

// run runs a script. args begin with scriptHead places for what calls it.
func (s *script) run(ctx context.Context, c client, args []any) (any, error) {
	args[0], args[1], args[2] = "evalsha", s.hash, "0"
	v, err := c.Do(ctx, args...).Result()
	if err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
		args[0], args[1] = "eval", s.text
		v, err = c.Do(ctx, args...).Result()
	}
	return v, err
}

// call is run with few arguments.
func (s *script) call(ctx context.Context, c client, args ...any) (any, error) {
	return s.run(ctx, c, append(make([]any, scriptHead, scriptHead+len(args)), args...))
}
