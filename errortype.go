package fallback

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// errorType is what is shown of an error in spans and metrics: one of few words, whatever the error says.
func errorType(err error) string {
	err = localPart(err)
	if limit := limitOf(err); limit != nil {
		return "limit_" + string(limit.Kind)
	}
	if code := replyCode(err); code != "" {
		return code
	}
	for _, c := range [...]struct {
		is   error
		name string
	}{
		{redis.TxFailedErr, "tx_failed"},
		{ErrLocalDown, "local_down"},
		{ErrJournalFull, "journal_full"},
		{ErrBudget, "budget"},
		{ErrOtherPrimary, "other_primary"},
		{journal.ErrHeld, "held"},
		{journal.ErrLate, "late"},
		{ErrPinned, "pinned"},
		{journal.ErrPinned, "pinned"},
		{context.Canceled, "canceled"},
		{redis.ErrPoolTimeout, "pool_timeout"},
		{redis.ErrPoolExhausted, "pool_timeout"},
		{errHung, "hung"},
		{stoppedError{}, "hung"},
		{context.DeadlineExceeded, "timeout"},
		{io.EOF, "connection_closed"},
		{io.ErrUnexpectedEOF, "connection_closed"},
		{net.ErrClosed, "connection_closed"},
		{syscall.ECONNRESET, "connection_closed"},
		{syscall.EPIPE, "connection_closed"},
	} {
		if errors.Is(err, c.is) {
			return c.name
		}
	}
	if isDial(err) {
		return "dial"
	}
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return "timeout"
	}
	return "_OTHER"
}

// localPart returns what local said where both failed: the span is that of local's answer.
func localPart(err error) error {
	if both, ok := errors.AsType[*Error](err); ok {
		return both.Local
	}
	return err
}

// limitOf returns the refusal for a limit that err is, as it came from a server or from here; nil elsewhere.
func limitOf(err error) *LimitError {
	if limit, ok := errors.AsType[*LimitError](err); ok {
		return limit
	}
	if reply, ok := errors.AsType[redis.Error](err); ok && limitKind(reply.Error()) != "" {
		return newLimitError(reply)
	}
	return nil
}

// replyCodes are the first words of the errors that servers have for themselves. A script can make any other,
// with a key in it.
const replyCodes = " ERR WRONGTYPE NOAUTH NOPERM WRONGPASS DENIED NOPROTO OOM LOADING READONLY MASTERDOWN NOREPLICAS MISCONF" +
	" CLUSTERDOWN TRYAGAIN CROSSSLOT MOVED ASK NOSCRIPT BUSY UNKILLABLE NOTBUSY EXECABORT BUSYGROUP NOGROUP BUSYKEY" +
	" UNBLOCKED INPROG NOGOODSLAVE NOMASTERLINK STALE "

// replyCode returns the code of an error reply, "" where err is no such, or not a server's own.
func replyCode(err error) string {
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return ""
	}
	code, _, _ := strings.Cut(reply.Error(), " ")
	if code == "" || !strings.Contains(replyCodes, " "+code+" ") {
		return ""
	}
	return code
}
