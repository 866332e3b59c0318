//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd || solaris || illumos

package wire

import "syscall"

// peek looks at a socket without taking anything from it: are there bytes, is it closed?
func peek(raw syscall.RawConn) (pending, gone bool) {
	err := raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case n > 0:
			pending = true
		case n == 0 && err == nil:
			gone = true
		case err != syscall.EAGAIN && err != syscall.EWOULDBLOCK && err != syscall.EINTR:
			gone = true
		}
		return true
	})
	return pending, gone || err != nil
}
