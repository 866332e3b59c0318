package fallback

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/redis-fallback/fallback/internal/journal"
)

// LimitKind says which limit a server has named.
type LimitKind string

// The limits that are told apart. A refusal that only a user's Detector knows is LimitOther.
const (
	LimitRequests    LimitKind = "requests"       // commands of the month, or of the plan
	LimitDaily       LimitKind = "daily_requests" // commands of the day
	LimitBudget      LimitKind = "budget"         // suspended for its cost
	LimitConnections LimitKind = "connections"
	LimitBandwidth   LimitKind = "bandwidth"
	LimitStorage     LimitKind = "storage" // writes only; reads and deletions go on
	LimitMemory      LimitKind = "memory"  // the same, in stock Redis' words (OOM)
	LimitOther       LimitKind = "other"
)

// LimitError is a server's refusal for a limit: the command did not run. Its text is the server's
// own, it is a redis.Error, and errors.As finds it in what a command returns.
type LimitError struct {
	Kind LimitKind
	// Limit and Usage are the numbers the server named, in commands or bytes; 0 when it named none.
	Limit, Usage int64

	err error // as it came
}

func (e *LimitError) Error() string {
	if e.err == nil { // not made here
		return "redis fallback: limit: " + string(e.Kind)
	}
	return e.err.Error()
}

// RedisError makes a LimitError a redis.Error.
func (e *LimitError) RedisError() {}

// Unwrap returns the error as it came from the server.
func (e *LimitError) Unwrap() error { return e.err }

// Error is returned when a command failed on both servers. errors.Is and errors.As look into both
// causes, the primary's first.
type Error struct {
	Primary error // why the primary did not serve
	Local   error // why local could not answer either
}

func (e *Error) Error() string {
	return fmt.Sprintf("redis fallback: primary: %v; local: %v", e.Primary, e.Local)
}

// Unwrap returns both causes.
func (e *Error) Unwrap() []error { return []error{e.Primary, e.Local} }

// Errors that errors.Is finds.
var (
	// ErrPinned is what a command that must stay on the primary gets while an operator holds the
	// service on local.
	ErrPinned = errors.New("redis fallback: an operator has pinned local")
	// ErrLocalDown is local's part of an Error while local's circuit breaker is open.
	ErrLocalDown = errors.New("redis fallback: local is not answering")
	// ErrJournalFull is local's part of an Error for a write that would not fit into the journal any
	// more, or that a journal past its first limit cannot hold: see JournalConfig.
	ErrJournalFull = errors.New("redis fallback: the journal on local is full")
	// ErrNoJournal is returned by Drain and its kin where there is no journal: Status().Journal.Off
	// says why.
	ErrNoJournal = errors.New("redis fallback: this hook keeps no journal")
	// ErrNoDeadLetter is about a dead letter that is not there, or not any more.
	ErrNoDeadLetter = journal.ErrNoLetter
	// ErrRefused is about a delivery that the primary refuses: it is over a limit still, say. Nothing
	// of what it refused has run.
	ErrRefused = journal.ErrRefused
	// ErrOtherPrimary is about a primary that is not the one the journal is for. Nothing is delivered
	// to it until an operator says so: redis-fallback drain --adopt.
	ErrOtherPrimary = journal.ErrOtherPrimary
	// ErrUnheard ends a delivery of keys by their state while a process uses the primary that has not
	// heard yet that local serves. The next one goes on.
	ErrUnheard = journal.ErrUnheard
	// ErrBudget ends a delivery that may not send more commands.
	ErrBudget = journal.ErrBudget
	// ErrPartialTransaction is returned when the server ran a part of a transaction: MULTI was
	// refused and the commands behind it ran one by one, or EXEC ran fewer than were queued.
	ErrPartialTransaction = errors.New("redis fallback: the server ran only a part of the transaction")
	// ErrRestartScan is returned by SCAN, HSCAN, SSCAN and ZSCAN with a cursor that the server that
	// serves now has not given: going on would silently leave out what is there.
	ErrRestartScan = errors.New("redis fallback: the cursor was given by the other server; restart the scan from 0")
	// ErrRing is what every call gets on a Ring that carries the hook: nothing is sent.
	ErrRing = errors.New("redis fallback: a Ring cannot be the primary: it moves the keys of a shard that does not " +
		"answer to the others; give each shard's client a hook of its own, or use a ClusterClient")
	// ErrNoClient is returned by Probe before any client carries the hook.
	ErrNoClient = errors.New("redis fallback: no client carries this hook yet")
	// ErrClosed is returned by operations on a Hook after Shutdown.
	ErrClosed = errors.New("redis fallback: the hook has been shut down")
)

// dialError marks what came from a dial, which DialHook has counted already: not that of a node.
type dialError struct {
	err  error
	era  *era // in which the dial began: go-redis' pool hands the error out for a while
	seen seen
	node bool
}

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// errNotDialed is what a connection gives that was never made, because local serves: go-redis would
// repeat a failed dial for seconds, but not a write that fails with an error it does not know.
var errNotDialed = errors.New("redis fallback: the primary is down and local serves")

// errNoWay is about a client that makes no connection that the hook sees.
var errNoWay = errors.New("redis fallback: no connection to the primary was seen being made, so the journal cannot be delivered; add the hook before the client is used")

// errHung ends what waits on the connections of a server that has stopped answering. It is no
// net.Error, or go-redis would try again on the spot.
var errHung = errors.New("redis fallback: the server has stopped answering")

// hungError is what the caller sees of errHung: the time-out it would have had later, which says why it
// came sooner.
func hungError(network string) error {
	return &net.OpError{Op: "read", Net: network, Err: stoppedError{}}
}

type stoppedError struct{}

func (stoppedError) Error() string { return "i/o timeout: the server has stopped answering" }
func (stoppedError) Unwrap() error { return os.ErrDeadlineExceeded }

// Timeout makes a net.OpError around it a time-out.
func (stoppedError) Timeout() bool { return true }

// handshakeError fails a connection whose set-up met a limit. It is no redis.Error: go-redis would
// take a refused HELLO for an old server, and speak RESP2 on that connection ever after.
type handshakeError struct{ limit *LimitError }

func (e *handshakeError) Error() string { return e.limit.Error() }
