package journal

import (
	"context"
	"crypto/sha1" //nolint:gosec // the name that Redis gives a script
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	table "github.com/redis-fallback/fallback/internal/command"
	"github.com/redis/go-redis/v9"
)

//go:embed lua/write.lua
var writeLua string

//go:embed lua/one.lua
var oneLua string

//go:embed lua/several.lua
var severalLua string

// scripts are those that write, for one journal.
type scripts struct{ whole, one, several script }

type script struct{ text, hash string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // the name that Redis gives a script
	return script{text, hex.EncodeToString(sum[:])}
}

func (s *Store) newScripts() scripts {
	quote := func(text string) string { return "'" + luaQuote.Replace(text) + "'" }
	names := strings.NewReplacer("DATABASE", strconv.Itoa(s.db), "FENCE)", quote(s.fence())+")", "STREAM,", quote(s.stream())+",",
		"MIRRORED", strconv.FormatBool(s.mirrored), "HOME", quote(strconv.Itoa(s.home)),
		"META,", quote(s.meta())+",", "UNSURE,", quote(s.unsure())+",", "PARTIAL,", quote(s.partial())+",")
	return scripts{newScript(writeLua), newScript(names.Replace(oneLua)), newScript(names.Replace(severalLua))}
}

var luaQuote = strings.NewReplacer("\\", "\\\\", "'", "\\'", "\n", "\\n", "\r", "\\r", "\x00", "\\0")

// Write is a call on local of some commands, with the entry of what they did.
type Write struct {
	Fence  string // what the record said when the call was routed
	DB     int    // of the connection that it is sent on
	Label  string // how the entry names it: "" for the home database
	Kind   Kind
	RESP3  bool // of that connection
	Many   bool // the reply is the list of all replies, else that of the one command
	Noting bool // the commands have run already, in the transaction that the call is part of
	Keys   bool // the call says which keys the commands have, for a journal that keeps names
}

// MaxArgs is the most arguments that the commands of one call may have together: what Lua's stack bears
// with a margin for what is written down.
const MaxArgs = 3000

// Args returns the arguments of the EVALSHA that makes the call.
func (s *Store) Args(w Write, cmds []Noted) []any {
	if args := s.short(w, cmds); args != nil {
		return args
	}
	n := 0
	for i := range cmds {
		n += len(cmds[i].Args)
	}
	flags := []byte{byte(w.Kind)}
	if w.RESP3 {
		flags = append(flags, '3')
	}
	if w.Many {
		flags = append(flags, 'm')
	}
	if w.Noting {
		flags = append(flags, 'o')
	}
	which := ""
	if w.Keys && !w.Noting {
		flags = append(flags, 'k')
		which = keys(cmds)
	}
	if w.Noting && s.mirrored {
		which = touched(cmds)
	}
	if Mutate.NoFence {
		flags = append(flags, 'u')
	}
	args := make([]any, 0, n+18)
	if s.mirrored {
		args = append(args, "evalsha", s.scripts.whole.hash, 7, s.fence(), s.stream(), s.names(), s.state(), s.partial(), s.meta(), s.unsure())
	} else {
		args = append(args, "evalsha", s.scripts.whole.hash, 4, s.fence(), s.stream(), s.names(), s.state())
	}
	args = append(args, w.Fence, s.db, w.DB, w.Label, string(flags), plan(cmds, w.Noting), which)
	for i := range cmds {
		args = append(args, cmds[i].Args...)
	}
	return args
}

// Body returns the same call with the script itself in place of its hash, for a server that does not
// have it.
func (s *Store) Body(args []any) []any {
	text := s.scripts.whole.text
	switch args[1] {
	case s.scripts.one.hash:
		text = s.scripts.one.text
	case s.scripts.several.hash:
		text = s.scripts.several.text
	}
	return append([]any{"eval", text}, args[2:]...)
}

// Noted is a command with what is known of its effect.
type Noted struct {
	Args []any
	Note table.Note
}

// NoteRead is, in a plan, a read within a transaction. The script asks for it as RESP2 has it: in RESP3
// maps and sets would lose their order in Lua, and lists end at a nil.
const NoteRead = 'q'

// noteConditional is, in a plan, what is written down verbatim if the reply says that it was done.
const noteConditional = 'w'

// plan tells the script what to do with each command. Runs of like ones are one item.
func plan(cmds []Noted, noting bool) string {
	var b strings.Builder
	for i := 0; i < len(cmds); {
		c := &cmds[i]
		n := 1
		for i+n < len(cmds) && cmds[i+n].Note == c.Note && len(cmds[i+n].Args) == len(c.Args) {
			n++
		}
		i += n
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		if noting && c.Note.Code == table.NoteAdd {
			laterAdds(&b, cmds, i-n, n)
			continue
		}
		if n > 1 {
			b.WriteString(strconv.Itoa(n))
		}
		c.item(&b, noting)
	}
	return b.String()
}

// noteAdded is, in a plan, an XADD that has run already.
const noteAdded = "A"

// laterAdds tells of like XADDs in a transaction how far from the end of its stream each one's entry is.
func laterAdds(b *strings.Builder, cmds []Noted, from, n int) {
	for i := from; i < from+n; i++ {
		c, rank := &cmds[i], 1
		for j := i + 1; j < len(cmds); j++ {
			o := &cmds[j]
			if o.Note.Code == table.NoteAdd && fmt.Sprint(o.Args[o.Note.Key]) == fmt.Sprint(c.Args[c.Note.Key]) {
				rank++
			}
		}
		if i > from {
			b.WriteByte(',')
		}
		b.WriteString(noteAdded + strconv.Itoa(len(c.Args)) + ":" + strconv.Itoa(int(c.Note.Key)) + "." +
			strconv.Itoa(int(c.Note.At)) + "." + strconv.Itoa(rank))
	}
}

func (c *Noted) item(b *strings.Builder, noting bool) {
	code := c.Note.Code
	if noting && code != table.NoteNothing && code != NoteRead {
		// Its reply is not known: it is written down as it was given.
		if code == table.NoteVerbatim || code == table.NoteMulti {
			code = table.NoteVerbatim
		} else {
			code = table.NoteDeadlines
		}
	}
	n := c.Note
	if !noting && (n.When != table.Always || n.Option > 0) && (code == table.NoteVerbatim || code == table.NoteDeadlines) {
		if code = noteConditional; c.Note.Code == table.NoteVerbatim {
			n.Step = 0 // no deadlines
		}
	}
	b.WriteByte(code)
	b.WriteString(strconv.Itoa(len(c.Args)))
	switch code {
	case table.NoteNothing, table.NoteVerbatim, NoteRead:
	case table.NoteDeadlines, table.NoteInteger:
		sep := byte(':')
		for k := n.Key; k > 0 && k <= n.Last; k += max(n.Step, 1) {
			b.WriteByte(sep)
			b.WriteString(strconv.Itoa(int(k)))
			sep = '.'
		}
	default:
		sep := byte(':')
		for _, v := range [...]int{int(n.Key), int(n.Last), int(n.Step), int(n.At), int(n.When), int(n.Opts), int(n.Option), int(n.Timeout)} {
			b.WriteByte(sep)
			b.WriteString(strconv.Itoa(v))
			sep = '.'
		}
	}
}

// FenceKey is what must not change between the look at it and a write.
func (s *Store) FenceKey() string { return s.fence() }

// At tells from what stands at FenceKey whether a write of the given fence may pass: nil, or an error that
// Fenced or Full reports.
func At(fence string, now any) error {
	switch now {
	case fence:
		return nil
	case fence + " full", fence + " names", fence + " names full":
		// What does not go by a script is not known well enough for a journal that keeps names.
		return refusal(isFull)
	}
	return refusal(fenced)
}

// refusal is what a call answers, as an error.
type refusal string

func (r refusal) Error() string { return string(r) }

// RedisError makes a refusal a redis.Error, as a script's is.
func (refusal) RedisError() {}

// Room is a key to write nothing to, which local refuses when its memory is full.
func (s *Store) Room() string { return s.key("room") }

// Strike takes an entry away of a command that turned out to have failed, before its caller hears of
// it. Where it has been delivered already, it has failed there too.
func (s *Store) Strike(ctx context.Context, id string) error {
	return s.rdb.XDel(ctx, s.stream(), id).Err()
}

// Load gives local the script of the calls, and learns which commands it has.
func (s *Store) Load(ctx context.Context) error {
	// One by one: the texts together are more than some connections in memory take before they are answered.
	for _, text := range [...]string{s.scripts.whole.text, s.scripts.one.text, s.scripts.several.text} {
		if err := s.rdb.ScriptLoad(ctx, text).Err(); err != nil {
			return unfit(err)
		}
	}
	info := s.rdb.Info(ctx, "server")
	if err := info.Err(); err != nil && !isReply(err) {
		return err
	}
	s.version.Store(uint32(parseVersion(info.Val())))
	return nil
}

func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// oldest is the version of a server that does not tell: the oldest that can hold a journal.
const oldest = 700

// parseVersion reads "redis_version:7.0.15" as 700.
func parseVersion(info string) uint16 {
	_, rest, ok := strings.Cut(info, "redis_version:")
	major, rest, ok2 := strings.Cut(rest, ".")
	minor, _, ok3 := strings.Cut(rest, ".")
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	if !ok || !ok2 || !ok3 || err1 != nil || err2 != nil || a < 7 || a > 90 || b < 0 || b > 99 {
		return oldest
	}
	return uint16(a*100 + b)
}

// Scriptable reports whether a read may stand in a script of this local: one that it would not take there
// is better said no to natively, in local's own words.
func (s *Store) Scriptable(args []any) bool {
	info, ok := table.Lookup(args)
	return ok && !info.NoScript && !info.Blocking && uint32(info.Since) <= s.version.Load() && table.ArityOK(args) && len(args) <= table.MaxArgs
}

// Note returns what is known of the effect of a command on this local.
func (s *Store) Note(args []any) Noted {
	n := Noted{Args: args, Note: table.NoteFor(args, uint16(s.version.Load()))}
	if table.Is(args, "hgetdel") {
		n.Note = table.Note{Code: table.NoteMulti} // a nil in its reply would end a list of Lua's
	}
	return n
}

// What a call answers that has not run.
const (
	fenced = "JOURNALFENCED"
	isFull = "JOURNALFULL"
	isOnly = "JOURNALNAMES"
)

// Fenced reports the error of a call that did not run because another server serves, or because the
// journal was opened anew since.
func Fenced(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), fenced) && !Full(err)
}

// KeysWanted reports the error of a call that did not run because the journal keeps names: it is to be sent
// again with Write.Keys.
func KeysWanted(err error) bool { return err != nil && strings.HasPrefix(err.Error(), isOnly) }

// Full reports the error of a call that did not run because the journal is full.
func Full(err error) bool { return err != nil && strings.HasPrefix(err.Error(), isFull) }
