package console

import (
	"net/http"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/diagnosis"
)

// health is what healthz answers.
type health struct {
	Status   string    `json:"status"` // ok, degraded or down
	Degraded bool      `json:"degraded"`
	Serving  string    `json:"serving"`
	Reason   string    `json:"reason"`
	Since    time.Time `json:"since"`
}

// healthz is 200 as long as some server answers. A program on local works: a 503 would have it restarted, or
// taken out of the balance, for what it survives.
func (c *console) healthz(w http.ResponseWriter) {
	s := c.h.Status()
	answers := diagnosis.Answers(s)
	h := health{
		Status: "ok", Degraded: degraded(s) || !answers,
		Serving: s.Serving.String(), Reason: string(s.Reason), Since: s.Since.UTC(),
	}
	code := http.StatusOK
	switch {
	case !answers:
		h.Status, code = "down", http.StatusServiceUnavailable
	case h.Degraded:
		h.Status = "degraded"
	}
	writeJSON(w, code, h)
}

// degraded reports that only one server answers: local serves, or could not.
func degraded(s fallback.Status) bool {
	return s.Serving == fallback.Local || s.Local.Breaker == "open"
}
