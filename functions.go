package fallback

import (
	"context"
	"strings"
	"time"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis/go-redis/v9"
)

// functionsChanged sees FUNCTION LOAD and DELETE, which travel to the other server.
func (h *Hook) functionsChanged(args []any, by Backend) {
	sub, last := args[1:], args[len(args)-1]
	text, _ := last.(string)
	switch {
	case command.Is(sub, "load"):
		name := libraryName(text)
		if name == "" || h.code.bytes.Add(int64(len(text))) > mostCode {
			return
		}
		f := &functions{code: text}
		f.on[by] = true
		h.code.mu.Lock()
		if h.code.libs == nil {
			h.code.libs = map[string]*functions{}
		}
		h.code.libs[name] = f
		h.code.mu.Unlock()
		if by == Primary {
			h.carrying.put(struct{}{})
		}
	case command.Is(sub, "delete"):
		h.code.mu.Lock()
		f := h.code.libs[text]
		delete(h.code.libs, text)
		h.code.mu.Unlock()
		if f != nil && by == Primary && f.on[Local] {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = h.local.Process(ctx, redis.NewStatusCmd(ctx, "function", "delete", text))
		}
	}
}

// libraryName reads the first line of a library: #!lua name=mylib.
func libraryName(code string) string {
	line, _, _ := strings.Cut(code, "\n")
	for field := range strings.FieldsSeq(line) {
		if name, ok := strings.CutPrefix(field, "name="); ok {
			return name
		}
	}
	return ""
}

// carry loads on a server the libraries that only the other one has.
func (l *library) carry(ctx context.Context, to Backend, process redis.ProcessHook) {
	l.mu.Lock()
	var missing []*functions
	for _, f := range l.libs {
		if !f.on[to] {
			missing = append(missing, f)
		}
	}
	l.mu.Unlock()
	if len(missing) == 0 {
		return
	}
	l.carrying.Lock() // whoever comes second finds them there
	defer l.carrying.Unlock()
	for _, f := range missing {
		l.mu.Lock()
		there := f.on[to]
		l.mu.Unlock()
		if !there && process(ctx, redis.NewStringCmd(ctx, "function", "load", "replace", f.code)) == nil {
			l.mu.Lock()
			f.on[to] = true
			l.mu.Unlock()
		}
	}
}

// missed is told that a server does not have a function, and reports whether to ask again: a library
// that should be there may be on its way, or was lost with the server's data. Then all are loaded
// again, but not for every function that nobody has.
func (l *library) missed(ctx context.Context, on Backend, process redis.ProcessHook) bool {
	l.mu.Lock()
	known, all := len(l.libs) > 0, true
	for _, f := range l.libs {
		all = all && f.on[on]
	}
	if all && time.Since(l.reloaded[on]) > 10*time.Second {
		l.reloaded[on] = time.Now()
		for _, f := range l.libs {
			f.on[on] = false
		}
	}
	l.mu.Unlock()
	l.carry(ctx, on, process)
	return known
}

// carryToLocal is what happens to a library that was loaded on the primary, off the caller's path.
func (h *Hook) carryToLocal(struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	h.code.carry(ctx, Local, h.local.Process)
}
