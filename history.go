package fallback

import "slices"

// maxHistory is how many switches are remembered: what fits on a page, and is no burden to a program that
// flaps for weeks.
const maxHistory = 100

// History returns the last 100 switches of this process, the oldest first: those that WithOnSwitch is told
// of, pins among them. It does no I/O, and may be called at any time.
func (h *Hook) History() []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.past)
}

// rememberLocked keeps a switch. There are few of them: to move a hundred costs less than a ring explains.
func (h *Hook) rememberLocked(ev Event) {
	if len(h.past) == maxHistory {
		h.past = slices.Delete(h.past, 0, 1)
	}
	h.past = append(h.past, ev)
}

// CauseText is what of Cause may stand in a log or on a page: a server's reply that is not known may name
// keys and values, so of that only the code; "" where there is no cause.
func (ev Event) CauseText() string { return plainText(ev.Cause) }
