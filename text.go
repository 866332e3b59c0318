package fallback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis-fallback/fallback/internal/wire"
	"github.com/redis/go-redis/v9"
)

// replyError is an error reply that was met as text.
type replyError string

func (e replyError) Error() string { return string(e) }

// RedisError makes a replyError a redis.Error.
func (replyError) RedisError() {}

func partialError(p *wire.PartialError) error {
	return fmt.Errorf("%w: %s", ErrPartialTransaction, p.Reply)
}

// plainText is what of an error may stand in a log, a status or a page. A server's reply may name
// keys and values, so of one that is not known only the code is shown.
func plainText(err error) string {
	if err == nil {
		return ""
	}
	if limit, ok := errors.AsType[*LimitError](err); ok && limit.Kind != LimitOther {
		return limit.Error()
	}
	if reply, ok := errors.AsType[redis.Error](err); ok {
		if limitKind(reply.Error()) != "" {
			return reply.Error()
		}
		code, _, _ := strings.Cut(reply.Error(), " ")
		return code
	}
	return err.Error()
}

// logDenied says once in an era that the primary does not accept who asks.
func (h *Hook) logDenied(e *era, err error) {
	if h.denied.Swap(e.epoch+1) == e.epoch+1 {
		return
	}
	h.cfg.logger.LogAttrs(context.Background(), slog.LevelError,
		"redis fallback: the primary denies access; it is not failed over, that would hide a misconfiguration",
		slog.String("primary", h.cfg.name), slog.String("error", plainText(err)))
}

// logLocal says once that local has stopped answering, and once that it answers again.
func (h *Hook) logLocal(err error) {
	switch gone := err != nil; {
	case h.localGone.Swap(gone) == gone:
	case gone && h.Serving() == Local:
		h.cfg.logger.LogAttrs(context.Background(), slog.LevelError,
			"redis fallback: local does not answer while it serves; calls fail until one of the two does", slog.String("error", plainText(err)))
	case gone:
		h.cfg.logger.LogAttrs(context.Background(), slog.LevelWarn,
			"redis fallback: local does not answer; nothing can switch to it", slog.String("error", plainText(err)))
	default:
		h.cfg.logger.LogAttrs(context.Background(), slog.LevelInfo, "redis fallback: local answers again")
	}
}

// tell calls the functions of WithOnSwitch.
func (h *Hook) tell(ev Event) {
	for _, f := range h.cfg.onSwitch {
		func() {
			defer func() {
				if p := recover(); p != nil {
					h.cfg.logger.LogAttrs(context.Background(), slog.LevelError,
						"redis fallback: a function of WithOnSwitch panicked",
						slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
				}
			}()
			f(ev)
		}()
	}
}

// sameAddr compares two addresses as they are written, but for the names of this host.
func sameAddr(a, b string) bool { return journal.NormalAddr(a) == journal.NormalAddr(b) }
