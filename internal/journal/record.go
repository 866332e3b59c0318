package journal

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Serving says which server serves.
type Serving string

// What serves. While closing, nobody writes: the last entries are being delivered.
const (
	Primary Serving = "primary"
	Local   Serving = "local"
	Closing Serving = "closing"
)

// Record is what all processes agree on. A copy is replaced only by one of a later epoch, or of another
// local.
type Record struct {
	ID      string // of this journal, made once
	Primary string // the fingerprint of the primary; "" until a drain has seen it
	Address string // a hash of the primary's address, as the first process saw it
	Epoch   uint64 // counts the changes
	Serving Serving
	Since   time.Time // by local's clock
	Reason  string
	Cause   string // the primary's error that led here
	Kind    string // of a limit; with its numbers, 0 where it did not name them
	Limit   int64
	Usage   int64
	Pin     Serving       // what an operator holds the service on; "" nothing
	Floor   ID            // up to here the primary has everything
	Last    ID            // the largest id that was ever given before the open stream
	Doubt   ID            // up to here batches were begun
	Behind  string        // the position on the primary, where it is known to be too old
	Closed  string        // the stream that was shut
	By      string        // the process that made the change
	Pace    time.Duration // what a write waits, so that the drain gets ahead
	Spent   int64         // commands that drains have sent since the trip
	Begun   ID            // of the marker that the journal was opened with
	Limits  string        // which the journal has passed: "", "full", "names" or "names full"
}

// Fence is what a write must find on local to be let through.
func (r *Record) Fence() string {
	return r.ID + " " + strconv.FormatUint(r.Epoch, 10) + " " + string(r.Serving)
}

// Newer reports whether r replaces old.
func (r *Record) Newer(old *Record) bool {
	return old == nil || r.ID != old.ID || r.Epoch > old.Epoch
}

// errRecord is about a state that this package has not written.
var errRecord = errors.New("redis fallback: the state on local cannot be read")

// parseRecord reads the fields of the state, as HGETALL gives them.
func parseRecord(reply any) (*Record, error) {
	m, err := pairs(reply)
	if err != nil {
		return nil, err
	}
	r := &Record{
		ID: m["id"], Primary: m["primary"], Address: m["addr"], Serving: Serving(m["serving"]),
		Reason: m["reason"], Cause: m["cause"], Kind: m["kind"], Pin: Serving(m["pin"]),
		Floor: ParseID(m["floor"]), Last: ParseID(m["last"]), Doubt: ParseID(m["doubt"]),
		Behind: m["behind"], Closed: m["closed"], By: m["by"], Begun: ParseID(m["begun"]), Limits: m["names"],
	}
	r.Epoch, err = strconv.ParseUint(m["epoch"], 10, 64)
	if err != nil || r.ID == "" || r.Serving != Primary && r.Serving != Local && r.Serving != Closing {
		return nil, fmt.Errorf("%w: id, epoch or serving is missing or damaged", errRecord)
	}
	since, _ := strconv.ParseInt(m["since"], 10, 64)
	r.Since = time.UnixMilli(since)
	r.Limit, _ = strconv.ParseInt(m["limit"], 10, 64)
	r.Usage, _ = strconv.ParseInt(m["usage"], 10, 64)
	r.Spent, _ = strconv.ParseInt(m["spent"], 10, 64)
	pace, _ := strconv.ParseInt(m["pace"], 10, 64)
	r.Pace = time.Duration(pace) * time.Microsecond
	return r, nil
}

// pairs reads a reply of names and values.
func pairs(reply any) (map[string]string, error) {
	list, ok := reply.([]any)
	if !ok || len(list)%2 != 0 {
		return nil, fmt.Errorf("%w: not a list of fields", errRecord)
	}
	m := make(map[string]string, len(list)/2)
	for i := 0; i < len(list); i += 2 {
		k, ok1 := list[i].(string)
		v, ok2 := list[i+1].(string)
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("%w: a field is no text", errRecord)
		}
		m[k] = v
	}
	return m, nil
}
