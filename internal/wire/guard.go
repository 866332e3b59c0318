package wire

import (
	"bytes"
	"fmt"
	"sync/atomic"
)

// A PartialError says that a transaction was not one: MULTI was refused and the commands behind it
// ran one by one, or EXEC ran fewer than were queued.
type PartialError struct{ Reply string }

func (e *PartialError) Error() string {
	return fmt.Sprintf("redis: the server ran only a part of a transaction: %s", e.Reply)
}

// multi is how go-redis writes it.
var multi = []byte("*1\r\n$5\r\nmulti\r\n")

// maxHeld bounds what is read ahead of go-redis to learn what became of a refused transaction.
const maxHeld = 4 << 20

// guard watches one transaction at a time, from the bytes of MULTI to the first line of EXEC's reply.
//
// go-redis stops reading at a refused MULTI and puts the connection back into its pool: the replies
// that are still to come would be given to the next callers, and nobody would know that the commands
// behind MULTI ran on their own. So what follows a refused MULTI is read here, to the end: if nothing
// ran, go-redis gets the refusal and a clean connection; if something did, a PartialError.
type guard struct {
	watching atomic.Bool // set by the writer, cleared by the reader

	// The writer's side.
	writing bool
	alone   bool // MULTI was all that was written last
	request parser
	queued  atomic.Int64 // commands between MULTI and EXEC, when all is written; -1 before

	// The reader's side.
	in     []byte // bytes of replies that are not settled yet
	out    []byte // settled, for go-redis
	fail   error  // after out
	seen   int64  // replies settled
	failed bool   // MULTI was refused
	reply  string // its text
	ran    bool   // and something ran all the same
}

// sent sees what is about to be written; more says that it goes on with a request. A MULTI whose
// reply is read before more is written is one by hand: the replies behind it come one by one, and must not
// be waited for together.
func (g *guard) sent(p []byte, more bool) {
	if !g.writing {
		split := more && g.alone
		g.alone = len(p) == len(multi) && bytes.HasPrefix(p, multi)
		if !split && (g.alone || !bytes.HasPrefix(p, multi)) {
			return
		}
		g.writing, g.alone, g.request = true, false, parser{}
		if split {
			g.request.commands = 1
		}
		g.queued.Store(-1)
		g.watching.Store(true)
	}
	if g.request.feed(p) {
		g.writing = false
		g.queued.Store(g.request.commands - 2) // without MULTI and EXEC
	}
}

// readTx reads while a transaction is watched.
func (c *Conn) readTx(p []byte) (int, error) {
	g := &c.tx
	for {
		if len(g.out) > 0 {
			n := copy(p, g.out)
			if g.out = g.out[n:]; len(g.out) == 0 && g.fail == nil && !g.pending() {
				g.stop()
			}
			return n, nil
		}
		if g.fail != nil {
			c.spent.Store(true)
			return 0, g.fail
		}
		var buf [4096]byte
		n, err := c.read(buf[:])
		if n > 0 {
			g.in = append(g.in, buf[:n]...)
			g.settle(c)
			continue
		}
		if err != nil {
			return 0, err
		}
	}
}

func (g *guard) pending() bool { return g.seen <= g.queued.Load()+1 || g.queued.Load() < 0 }

func (g *guard) stop() {
	g.in, g.out, g.reply = nil, nil, ""
	g.seen, g.failed, g.ran = 0, false, false
	g.watching.Store(false)
}

// settle moves whole replies from in to out, up to EXEC's. What follows a refused MULTI is kept
// back until all of it is known.
func (g *guard) settle(c *Conn) {
	for len(g.in) > 0 {
		queued := g.queued.Load()
		last := queued >= 0 && g.seen == queued+1
		if last && !g.failed {
			g.settleExec(c, queued)
			return
		}
		n := replyLen(g.in)
		if n == 0 {
			if len(g.in) > maxHeld {
				g.fail = &PartialError{Reply: g.reply}
			}
			return
		}
		reply := g.in[:n]
		g.in = g.in[n:]
		switch {
		case reply[0] == '>': // a push stands between replies, and is none
			g.out = append(g.out, reply...)
			continue
		case g.seen == 0 && reply[0] == '-':
			g.failed, g.reply = true, string(bytes.TrimRight(reply[1:], "\r\n"))
		case g.failed:
			g.ran = g.ran || reply[0] != '-'
		default:
			g.out = append(g.out, reply...)
		}
		g.seen++
		if !g.failed || !last {
			continue
		}
		if g.ran {
			g.fail = &PartialError{Reply: g.reply}
			return
		}
		c.executed(false) // nothing released what was watched
		g.out = append(g.out, "-"+g.reply+"\r\n"...)
	}
}

// settleExec looks at the first line of EXEC's reply; all behind it is go-redis' own.
func (g *guard) settleExec(c *Conn, queued int64) {
	end := bytes.IndexByte(g.in, '\n')
	if end < 0 {
		return
	}
	line := g.in[:end+1]
	switch {
	case line[0] == '>':
		n := replyLen(g.in)
		if n > 0 {
			g.out, g.in = append(g.out, g.in[:n]...), g.in[n:]
			g.settle(c)
		}
		return
	case line[0] == '*' && !bytes.HasPrefix(line, []byte("*-1")):
		if n, ok := length(line); ok && n != queued {
			g.fail = &PartialError{Reply: fmt.Sprintf("EXEC answered %d of %d commands", n, queued)}
			return
		}
		c.executed(true)
	case line[0] == '*', line[0] == '_', line[0] == '+' /* of DISCARD */, bytes.HasPrefix(line, []byte("-EXECABORT")):
		c.executed(true)
	case line[0] == '-':
		// A server that refuses EXEC may leave the connection inside MULTI.
		c.spent.Store(true)
	}
	g.seen++
	g.out, g.in = append(g.out, g.in...), nil
}
