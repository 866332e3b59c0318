package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"
)

// The bounds of streams.
const (
	maxStreams = 16              // open at once; further pages ask again and again instead
	streamLife = 5 * time.Minute // then the browser connects again: what was forgotten ends
	streamLook = 250 * time.Millisecond
	streamFull = time.Second     // between two full looks, where nothing has changed
	streamIdle = 5 * time.Second // that a browser may take to read
	retryAfter = 300             // ms until the browser connects again
)

// streams counts the open streams, and ends them with the server that serves them. It is safe for concurrent
// use; its zero value has none.
type streams struct {
	mu    sync.Mutex // protects all below
	open  int
	ended map[*http.Server]context.Context // ends when that server begins to shut down
}

// begin returns a context that ends with the request, the stream's life or the server's Shutdown, which
// waits for requests, and would wait for a page that somebody has left open. It reports false where there are
// too many.
func (s *streams) begin(r *http.Request) (context.Context, context.CancelFunc, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= maxStreams {
		return nil, nil, false
	}
	s.open++
	ctx, cancel := context.WithTimeout(r.Context(), streamLife)
	if srv, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok {
		stop := context.AfterFunc(s.shutdownLocked(srv), cancel)
		context.AfterFunc(ctx, func() { stop() })
	}
	return ctx, func() {
		cancel()
		s.mu.Lock()
		s.open--
		s.mu.Unlock()
	}, true
}

// shutdownLocked returns a context that ends when srv begins to shut down.
func (s *streams) shutdownLocked(srv *http.Server) context.Context {
	if ctx, ok := s.ended[srv]; ok {
		return ctx
	}
	if s.ended == nil {
		s.ended = map[*http.Server]context.Context{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.ended[srv] = ctx
	srv.RegisterOnShutdown(cancel)
	return ctx
}

// events sends the parts of the page that have changed, as server-sent events: a switch within a quarter of
// a second, the rest each second.
func (c *console) events(w http.ResponseWriter, r *http.Request) {
	ctx, end, ok := c.streams.begin(r)
	if !ok {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many open pages; this one asks again by itself", http.StatusServiceUnavailable)
		return
	}
	defer end()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // or nginx keeps them back
	out := &stream{w: w, control: http.NewResponseController(w), sent: map[string]string{}}
	if r.Method == http.MethodHead {
		return
	}
	// Where something around the handler keeps what is written, a stream would say nothing, or end at once and
	// be asked for again without end. Nothing has been written when that is found out.
	if err := out.control.Flush(); errors.Is(err, http.ErrNotSupported) {
		http.Error(w, "no events here: what is around this handler does not flush; the page asks again by itself", http.StatusNotImplemented)
		return
	}
	if out.write(fmt.Appendf(nil, "retry: %d\n\n", retryAfter)) != nil {
		return
	}
	tick := time.NewTicker(streamLook)
	defer tick.Stop()
	var full time.Time
	var at uint64
	for {
		epoch := c.h.Status().Epoch
		if now := time.Now(); epoch != at || now.Sub(full) >= streamFull {
			at, full = epoch, now
			if out.send(c.sections(c.report(ctx))) != nil {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// stream is one page that is kept up to date.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	sent    map[string]string // sections as the page has them
}

// send sends the sections that the page does not have.
func (s *stream) send(all map[string]string) error {
	changed := map[string]string{}
	for id, html := range all {
		if s.sent[id] != html {
			changed[id] = html
		}
	}
	if len(changed) == 0 {
		return s.write([]byte(":\n\n")) // or nobody notices a connection that is gone
	}
	maps.Copy(s.sent, changed)
	var line bytes.Buffer
	line.WriteString("data: ")
	if err := json.NewEncoder(&line).Encode(changed); err != nil { // which ends the line
		return err
	}
	line.WriteByte('\n')
	return s.write(line.Bytes())
}

// write writes and flushes, within a time: a browser that sleeps must not hold a stream for ever. Where the
// server can set no deadline, its own time-outs hold.
func (s *stream) write(b []byte) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(streamIdle))
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.control.Flush()
}
