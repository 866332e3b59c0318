// Package mirror keeps local warm: what the primary acknowledged reaches local too, off the caller's path,
// and what local cannot be sure to hold whole and current is absent there.
package mirror
