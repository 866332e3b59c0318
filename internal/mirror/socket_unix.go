//go:build unix

package mirror

import "syscall"

// try writes without waiting. A part of a command would break what comes after it: then the connection is
// useless.
func (s *sender) try(fd uintptr) bool {
	n, err := syscall.Write(int(fd), s.b) //nolint:gosec // as the standard library does
	for err == syscall.EINTR {
		n, err = syscall.Write(int(fd), s.b) //nolint:gosec // as above
	}
	if n > 0 && n < len(s.b) {
		_ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) //nolint:gosec // as above
	}
	s.done = err == nil && n == len(s.b)
	return true
}

// gone reports whether the server has closed the connection, or anything has arrived that should not.
func (w *wire) gone() bool {
	is := false
	err := w.raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT) //nolint:gosec // as above
		is = err == nil && n >= 0 || err != nil && err != syscall.EAGAIN && err != syscall.EINTR
		return true
	})
	return is || err != nil
}
