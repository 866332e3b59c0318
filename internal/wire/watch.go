package wire

import "bytes"

// What WATCH, or a MULTI by hand, has left on a connection.
const (
	unwatched  int32 = iota
	watching         // keys are watched, or commands queued
	unwatching       // UNWATCH, DISCARD, or an EXEC by hand, is on its way
)

// notable reports that a request may be one of those that are looked at, by the length of its name: a
// look that costs next to nothing, and lets nearly all others pass.
func notable(p []byte) bool {
	at := 4 // of '$', behind "*1\r\n"
	for at < len(p) && p[at] != '$' && at < 12 {
		at++
	}
	if at+4 >= len(p) {
		return false
	}
	switch p[at+1] {
	case '1', '5', '7', '9': // psubscribe; watch, multi; unwatch, discard; subscribe
		return true
	case '4':
		return p[at+4]|0x20 == 'e' // exec
	}
	return false
}

// request sees the beginning of a request. A WATCH that stays behind on a pooled connection makes the
// transaction of a stranger fail, and a MULTI swallows his commands, so it is known here who has one. A
// MULTI that more is written with is the guard's.
func (c *Conn) request(p []byte) {
	switch name := RequestName(p); {
	case len(name) == 5 && bytes.EqualFold(name, []byte("watch")),
		len(name) == 5 && len(p) == len(multi) && bytes.EqualFold(name, []byte("multi")):
		c.watch.Store(watching)
	case len(name) == 7 && (bytes.EqualFold(name, []byte("unwatch")) || bytes.EqualFold(name, []byte("discard"))),
		len(name) == 4 && bytes.EqualFold(name, []byte("exec")):
		c.watch.CompareAndSwap(watching, unwatching)
	}
}

// unwatched sees the first of the reply to UNWATCH, DISCARD or EXEC. One that was refused, or only
// queued, left what there was.
func (c *Conn) unwatched(reply []byte) {
	switch {
	case bytes.HasPrefix(reply, []byte("-EXECABORT")), bytes.HasPrefix(reply, []byte("+OK")), reply[0] == '*', reply[0] == '_':
		c.watch.Store(unwatched)
	case bytes.HasPrefix(reply, []byte("+QUEUED")), bytes.HasPrefix(reply, []byte("-ERR EXEC without MULTI")),
		bytes.HasPrefix(reply, []byte("-ERR DISCARD without MULTI")):
		c.watch.Store(watching) // the server has answered, and its holder goes on
	default:
		c.spent.Store(true)
	}
}

// executed sees the end of a transaction: EXEC released what was watched, unless it never ran.
func (c *Conn) executed(ran bool) {
	switch {
	case c.watch.Load() == unwatched:
	case ran:
		c.watch.Store(unwatched)
	default:
		c.spent.Store(true)
	}
}

// RequestName returns the name of the command that stands first in p, as it was written: nil if it is
// not all there.
func RequestName(p []byte) []byte {
	if len(p) < 8 || p[0] != '*' {
		return nil
	}
	at := bytes.IndexByte(p[:min(len(p), 16)], '$') // behind "*1\r\n", "*100\r\n", ...
	if at < 0 {
		return nil
	}
	n, i := 0, at+1
	for ; i < len(p) && '0' <= p[i] && p[i] <= '9' && n < 100; i++ {
		n = 10*n + int(p[i]-'0')
	}
	if i += 2; n == 0 || i+n > len(p) {
		return nil
	}
	return p[i : i+n]
}
