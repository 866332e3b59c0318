package wire

import "bytes"

// What WATCH has left on a connection.
const (
	unwatched  int32 = iota
	watching         // keys are watched
	unwatching       // UNWATCH, or DISCARD, is on its way
)

// request sees the beginning of a request. A WATCH that stays behind on a pooled connection makes the
// transaction of a stranger fail, so it is known here who has one.
func (c *Conn) request(p []byte) {
	switch name := RequestName(p); {
	case len(name) == 5 && bytes.EqualFold(name, []byte("watch")):
		c.watch.Store(watching)
	case len(name) == 7 && (bytes.EqualFold(name, []byte("unwatch")) || bytes.EqualFold(name, []byte("discard"))):
		c.watch.CompareAndSwap(watching, unwatching)
	}
}

// unwatched sees the reply to UNWATCH. One that was refused left the keys watched.
func (c *Conn) unwatched(ok bool) {
	if ok {
		c.watch.Store(unwatched)
	} else {
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
