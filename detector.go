package fallback

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis/go-redis/v9"
)

// Verdict is what the outcome of a command says of the server.
type Verdict uint8

// The verdicts. What each leads to stands in the README.
const (
	// Unknown is for a user's Detector that leaves the decision to Detect.
	Unknown Verdict = iota
	// Answered: the server did its work. Also redis.Nil, WRONGTYPE and every other reply that tells
	// the caller something about the command.
	Answered
	// Cancelled: the caller gave up. It counts for nobody.
	Cancelled
	// Limit: refused for a quota. The first one trips.
	Limit
	// Capacity: writes are refused because the storage is full. To the caller, unless
	// WithTripOnStorage.
	Capacity
	// Busy: refused for the moment, or never sent. Tried again; the breaker counts.
	Busy
	// Denied: refused for who asks. To the caller: failing over would hide a misconfiguration.
	Denied
	// Lost: it may have run, and the reply never came. The breaker counts.
	Lost
)

func (v Verdict) String() string {
	names := [...]string{"unknown", "answered", "cancelled", "limit", "capacity", "busy", "denied", "lost"}
	if int(v) < len(names) {
		return names[v]
	}
	return "Verdict(" + strconv.Itoa(int(v)) + ")"
}

// Detector judges the error of a command. Return Unknown to leave it to Detect. A detector must be
// safe for concurrent use, and is not called for a nil error.
type Detector func(cmd redis.Cmder, err error) Verdict

// Detect is the built-in Detector. cmd may be nil.
//
// Texts are matched from their start: a value or a script's own error that merely contains the words
// of a limit is not taken for one.
func Detect(cmd redis.Cmder, err error) Verdict {
	if err == nil {
		return Answered
	}
	if reply, ok := errors.AsType[redis.Error](err); ok {
		return detectReply(cmd, reply.Error())
	}
	return detectFailure(err)
}

func detectReply(cmd redis.Cmder, text string) Verdict {
	if kind := limitKind(text); kind != "" {
		if fromScript(cmd) && !strings.Contains(text, "Usage: ") {
			// A script can answer anything. The service names its numbers.
			return Answered
		}
		if kind == LimitStorage || kind == LimitMemory {
			return Capacity
		}
		return Limit
	}
	code, _, _ := strings.Cut(text, " ")
	switch code {
	case "LOADING", "READONLY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "MISCONF", "NOREPLICAS", "BUSY":
		return Busy
	case "NOAUTH", "WRONGPASS", "NOPERM":
		return Denied
	}
	if strings.HasPrefix(text, "ERR max number of clients reached") {
		return Busy
	}
	return Answered
}

func fromScript(cmd redis.Cmder) bool {
	return cmd != nil && command.Of(cmd.Args()).Has(command.Script)
}

// detectFailure judges what is not a reply.
func detectFailure(err error) Verdict {
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.As(err, new(*dialError)), errors.As(err, &op) && op.Op == "dial":
		// Before the context: a dial that timed out may carry context.DeadlineExceeded.
		return Busy
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Cancelled
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return Busy
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.As(err, &timeout), errors.Is(err, errHung), errors.As(err, new(*streamError)):
		return Lost
	}
	// A value that cannot be encoded, a client that was closed: nothing a server did.
	return Answered
}

// neutral reports an error that is refused and yet says nothing of the server: the client's own pool
// had no connection to give.
func neutral(err error) bool {
	return errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted)
}

// limits are the beginnings of the texts that name a limit, after "ERR ". Behind one stands nothing,
// or a full stop and whatever the service adds; words of an application would go on otherwise.
var limits = []struct {
	text string
	kind LimitKind
	open bool // any words may follow
}{
	{"max requests limit exceeded", LimitRequests, false},
	{"max request limit exceeded", LimitRequests, false},
	{"max daily request limit exceeded", LimitDaily, false},
	{"max daily requests limit exceeded", LimitDaily, false},
	{"This database has been suspended", LimitBudget, true},
	{"max concurrent connections exceeded", LimitConnections, false},
	{"max bandwidth limit exceeded", LimitBandwidth, false},
	{"DB capacity quota exceeded", LimitStorage, false},
	{"Out of memory", LimitMemory, false}, // Dragonfly
}

func limitKind(text string) LimitKind {
	if strings.HasPrefix(text, "OOM ") {
		return LimitMemory
	}
	text = strings.TrimPrefix(text, "ERR ")
	for _, l := range limits {
		rest, ok := strings.CutPrefix(text, l.text)
		if !ok {
			continue
		}
		if rest == "" || rest[0] == '.' || l.open && rest[0] == ' ' {
			return l.kind
		}
	}
	return ""
}

// newLimitError reads what the text of a refusal says. A text that only a user's Detector knows is
// LimitOther.
func newLimitError(err error) *LimitError {
	if l, ok := errors.AsType[*LimitError](err); ok {
		return l
	}
	text := err.Error()
	if reply, ok := errors.AsType[redis.Error](err); ok {
		text = reply.Error()
	}
	l := &LimitError{Kind: limitKind(text), err: err}
	if l.Kind == "" {
		l.Kind = LimitOther
	}
	l.Limit = numberAfter(text, "Limit: ")
	if l.Limit == 0 {
		l.Limit = numberAfter(text, "Threshold: ")
	}
	l.Usage = numberAfter(text, "Usage: ")
	return l
}

func numberAfter(text, label string) int64 {
	_, rest, ok := strings.Cut(text, label)
	if !ok {
		return 0
	}
	end := 0
	for end < len(rest) && '0' <= rest[end] && rest[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(rest[:end], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// raisedInside reports a script's error reply that came from a command inside it: what stood before
// that command has run.
func raisedInside(text string) bool { return strings.Contains(text, " script: ") }
