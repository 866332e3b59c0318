package mirror

import (
	"syscall"
	"unsafe"
)

// crowded reports whether a good part of what the socket takes is still underway.
func (w *wire) crowded() bool {
	is := false
	err := w.raw.Control(func(fd uintptr) {
		var queued int32
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&queued)))
		is = errno == 0 && queued > crowd
	})
	return is || err != nil
}

// crowd is a quarter of what a socket of an unconfigured Linux takes.
const crowd = 32 << 10
