package fallback

import (
	"time"

	"github.com/redis-fallback/fallback/health"
)

// Pin holds the service on b, whatever happens, until Unpin: for all processes that share local.
// Pinning Primary means that nothing trips. While local serves, with writes in its journal that the
// primary does not have, Pin(Primary) delivers them first: the service moves as soon as the primary
// takes them, which is before Pin returns if that takes a few seconds at most.
//
// The error says that local, where the pin is kept, does not answer; nothing has changed then. Without
// a journal a pin holds for this process alone, and there is no error.
func (h *Hook) Pin(b Backend) error {
	if h.off {
		return nil
	}
	if s := h.journal(); s != nil {
		return s.pin(b)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.era.Load()
	if e.pinned && e.serving == b {
		return nil
	}
	cause := e.cause
	if b == Primary {
		cause = nil
	}
	h.changeLocked(e, turn{to: b, reason: ReasonPinned, cause: cause, pinned: true})
	return nil
}

// Unpin ends Pin. A service that was held on local returns once probes of the primary, which begin at
// once, are good. The error is as that of Pin.
func (h *Hook) Unpin() error {
	if s := h.journal(); s != nil {
		return s.unpin()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.era.Load()
	if !e.pinned {
		return nil
	}
	h.changeLocked(e, turn{to: e.serving, reason: ReasonPinned, cause: e.cause})
	if e.serving == Local {
		h.plan.Leave(time.Now(), health.Silent)
		h.scheduleProbeLocked(0)
	}
	return nil
}
