package reread

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"
)

// wire is the connection of a seat. What is written to it is gone; what is read from it are the
// replies, one after the other.
type wire struct {
	replies [][]byte
	at      int // the reply that is read
	read    int // bytes of it that have been read
}

// errStep is the error of commands that did not read one reply each. It must not be io.EOF, as it would
// be on a connection: that would look as if a server had gone, and the commands might run again.
var errStep = errors.New("reread: a command has not read its own reply")

// greeting answers HELLO, which go-redis sends at first on each connection. The client knows from its
// options what it speaks, and asks for nothing in it.
var greeting = []byte("*0\r\n")

func (w *wire) dial(context.Context, string, string) (net.Conn, error) {
	w.replies = slices.Insert(w.replies, 0, greeting)
	return w, nil
}

func (w *wire) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && w.at < len(w.replies) {
		c := copy(p[n:], w.replies[w.at][w.read:])
		n += c
		if w.read += c; w.read == len(w.replies[w.at]) {
			w.at, w.read = w.at+1, 0
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, errStep
	}
	return n, nil
}

// answer makes the wire ready to give these replies, with one before and one after them.
func (w *wire) answer(first []byte, replies [][]byte, last []byte) {
	w.replies = append(append(append(w.replies[:0], first), replies...), last)
	w.at, w.read = 0, 0
}

func (w *wire) Write(p []byte) (int, error) { return len(p), nil }

// The rest of a net.Conn has nothing to do here.

func (w *wire) Close() error                     { return nil }
func (w *wire) LocalAddr() net.Addr              { return address{} }
func (w *wire) RemoteAddr() net.Addr             { return address{} }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

type address struct{}

func (address) Network() string { return "memory" }
func (address) String() string  { return "reread" }
