package fallback

import (
	"context"
	"crypto/sha1" //nolint:gosec // the name that Redis gives a script
	"encoding/hex"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis/go-redis/v9"
)

// library remembers the scripts and functions that this process has loaded or sent, so that they are
// known to the other server too. Scripts are in nobody's data: one that is called by its hash on a
// server that has never seen it is sent whole.
type library struct {
	bytes   atomic.Int64
	bodies  sync.Map     // of scripts: body -> *script
	hashes  sync.Map     // hash -> *script
	waiting atomic.Int64 // scripts that only local has

	carrying sync.Mutex // held while libraries are loaded

	mu       sync.Mutex            // protects all below
	libs     map[string]*functions // by their names
	reloaded [2]time.Time          // by Backend
}

type script struct {
	body      any
	localOnly atomic.Bool
}

type functions struct {
	code string
	on   [2]bool // by Backend
}

// mostCode bounds what is remembered, in bytes.
const mostCode = 16 << 20

// learn remembers the body of a script.
func (l *library) learn(body any) *script {
	text, ok := body.(string)
	if !ok {
		return nil // nor could []byte be looked up
	}
	if s, ok := l.bodies.Load(body); ok {
		return s.(*script)
	}
	if l.bytes.Add(int64(len(text))) > mostCode {
		return nil
	}
	s := &script{body: body}
	if other, loaded := l.bodies.LoadOrStore(body, s); loaded {
		return other.(*script)
	}
	sum := sha1.Sum([]byte(text)) //nolint:gosec // the name that Redis gives a script
	l.hashes.Store(hex.EncodeToString(sum[:]), s)
	return s
}

// seen takes a look at a command that may hold a script, as nearly none does.
func (l *library) seen(args []any) {
	if len(args) < 3 {
		return
	}
	if name := command.Name(args); len(name) == 4 && command.Is(args, "eval") || len(name) == 6 && command.Is(args, "script") {
		l.script(args)
	}
}

// script returns the script that a command sends or calls, if it is known.
func (l *library) script(args []any) *script {
	switch {
	case len(args) < 2:
	case command.Is(args, "eval"), command.Is(args, "eval_ro"):
		return l.learn(args[1])
	case command.Is(args, "script") && command.Is(args[1:], "load") && len(args) > 2:
		return l.learn(args[2])
	case command.Is(args, "evalsha"), command.Is(args, "evalsha_ro"):
		hash, _ := args[1].(string)
		if s, ok := l.hashes.Load(strings.ToLower(hash)); ok {
			return s.(*script)
		}
	}
	return nil
}

// whole is a call of a script by its hash that is sent with the script itself.
type whole struct {
	redis.Cmder
	args []any
}

// Args returns the arguments of EVAL.
func (w *whole) Args() []any { return w.args }

// loaded sees a server take a script.
func (l *library) loaded(s *script, by Backend) {
	if was := s.localOnly.Swap(by == Local); was != (by == Local) {
		if was {
			l.waiting.Add(-1)
		} else {
			l.waiting.Add(1)
		}
	}
}

// restore returns a batch for the primary in which the scripts that only local has are sent whole.
func (b *batch) restore(l *library, part []redis.Cmder) []redis.Cmder {
	if l.waiting.Load() == 0 {
		return part
	}
	part = l.withBodies(part, func(s *script) bool { return s.localOnly.Load() })
	if b.tx { // which is sent as it stands in b.cmds
		cmds := append([]redis.Cmder{b.cmds[0]}, part...)
		b.cmds = append(cmds, b.cmds[len(b.cmds)-1:]...)
		part = b.inner()
	}
	return part
}

// withBodies returns part with the scripts that are called by their hash sent whole, if they are
// known and wanted so.
func (l *library) withBodies(part []redis.Cmder, wanted func(*script) bool) []redis.Cmder {
	out := part
	for i, cmd := range part {
		if !callsByHash(cmd.Args()) {
			continue
		}
		full := l.withBody(cmd)
		if full == cmd || !wanted(l.script(cmd.Args())) {
			continue
		}
		if &out[0] == &part[0] {
			out = append([]redis.Cmder(nil), part...)
		}
		out[i] = full
	}
	return out
}

func callsByHash(args []any) bool {
	return command.Is(args, "evalsha") || command.Is(args, "evalsha_ro")
}

// withBody returns the command with the body of its script, or as it is if that is not known.
func (l *library) withBody(cmd redis.Cmder) redis.Cmder {
	args := cmd.Args()
	name := ""
	switch {
	case command.Is(args, "evalsha"):
		name = "eval"
	case command.Is(args, "evalsha_ro"):
		name = "eval_ro"
	default:
		return cmd
	}
	s := l.script(args)
	if s == nil {
		return cmd
	}
	full := append([]any{name, s.body}, args[2:]...)
	return &whole{cmd, full}
}

// unknownScript reports a reply that says that the server does not have a script; nothing ran.
func unknownScript(err error) bool { return err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") }

func unknownFunction(err error) bool {
	return err != nil && redis.HasErrorPrefix(err, "Function not found")
}

// runCode takes a command that loads code, or runs some by name.
func (h *Hook) runCode(ctx context.Context, c *call) error {
	s := h.code.script(c.cmd.Args())
	e := h.era.Load()
	err := h.run(ctx, c)
	by := e.serving
	if cur := h.era.Load(); cur.term != e.term {
		by = cur.serving
	}
	args := c.cmd.Args()
	switch {
	case c.in.is(alone): // whose next may be of no use a second time
	case by == Primary && unknownScript(err) && s != nil && s.localOnly.Load():
		// It was loaded while local served.
		c.cmd.SetErr(nil)
		full := *c
		full.cmd = h.code.withBody(c.cmd)
		err = h.ordinary(ctx, &full)
	case by == Primary && unknownFunction(err) && h.code.missed(ctx, Primary, c.next):
		c.cmd.SetErr(nil)
		err = h.ordinary(ctx, c)
	}
	if err != nil {
		return err
	}
	if s != nil && !callsByHash(args) {
		h.code.loaded(s, by)
	}
	if command.Is(args, "function") {
		h.functionsChanged(args, by)
	}
	return nil
}

// withCode returns a command of a transaction under WATCH, where there is no second attempt, with the
// script that the server may not have. Local gets the libraries first.
func (h *Hook) withCode(ctx context.Context, on Backend, cmd redis.Cmder, class command.Class) redis.Cmder {
	if !class.Has(command.Code) {
		return cmd
	}
	s := h.code.script(cmd.Args()) // remembers it
	switch {
	case on == Local:
		h.code.carry(ctx, Local, h.local.Process)
		return h.code.withBody(cmd)
	case s != nil && s.localOnly.Load():
		return h.code.withBody(cmd)
	}
	return cmd
}

// bringCode answers a call of a script or a function that local does not have, if it is known. Nothing
// of the first attempt ran.
func (h *Hook) bringCode(ctx context.Context, c *call, err error) error {
	switch {
	case unknownScript(err):
		full := h.code.withBody(c.cmd)
		if full == c.cmd {
			return err
		}
		c.cmd.SetErr(nil)
		return h.sendLocal(ctx, c, full)
	case unknownFunction(err) && h.code.missed(ctx, Local, h.local.Process):
		c.cmd.SetErr(nil)
		return h.sendLocal(ctx, c, c.cmd)
	}
	return err
}
