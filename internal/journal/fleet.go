package journal

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/tick.lua
var tickLua string

//go:embed lua/lease.lua
var leaseLua string

//go:embed lua/release.lua
var releaseLua string

var (
	tickScript    = redis.NewScript(tickLua)
	leaseScript   = redis.NewScript(leaseLua)
	releaseScript = redis.NewScript(releaseLua)
)

// Role is what one process does for all.
type Role string

// The roles.
const (
	Prober  Role = "probe"
	Drainer Role = "drain"
)

// Process is what a process says of itself.
type Process struct {
	ID      string    `json:"-"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Serving Serving   `json:"serving"` // the server it uses
	Epoch   uint64    `json:"epoch"`
	Started int64     `json:"started"` // ms since 1970, by its own clock
	Seen    time.Time `json:"-"`       // by local's clock
}

// Lease is who has a role, and for how much longer. Holder is "" where nobody has it.
type Lease struct {
	Holder string
	Left   time.Duration
}

// Fleet is all that local knows.
type Fleet struct {
	View
	Processes []Process
	Prober    Lease
	Drainer   Lease
	Entries   int64 // in the journal that is open or shut, delivered ones that are kept included
	Bytes     int64
	Oldest    ID // not delivered; 0-0 where there is none
	Dead      int64
	Names     int64 // keys of which it has the name alone
	NamesOnly bool  // it adds no operations on keys that local holds whole
	Full      bool
}

// Limits are what the journal may grow to until it keeps names in place of operations; 0 is no limit. At
// twice as much it is full.
type Limits struct {
	Entries, Bytes int64
	NoNames        bool // it is full at once: what is missing on local may have been evicted
	Unknown        bool // which of the two it is: all stays as it was measured last
}

// Tick says that p is alive, unless p is nil, and returns what local knows. It opens a journal that has
// been shut for too long.
func (s *Store) Tick(ctx context.Context, p *Process, limits Limits) (*Fleet, error) {
	id, text := "", ""
	if p != nil {
		b, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		id, text = p.ID, string(b)
	}
	noNames := ""
	if limits.NoNames {
		noNames = "1"
	}
	if limits.Unknown {
		noNames = "?"
	}
	reply, err := tickScript.Run(ctx, s.rdb,
		[]string{s.state(), s.processes(), s.stream(), s.dead(), s.lease(Prober), s.lease(Drainer), s.fence(), s.names()},
		id, text, ProcessTime.Milliseconds(), limits.Entries, limits.Bytes, noNames).Slice()
	if err != nil {
		return nil, unfit(err)
	}
	if len(reply) != 10 {
		return nil, errRecord
	}
	if fields, ok := reply[1].([]any); ok && len(fields) == 0 {
		return nil, ErrGone
	}
	v, err := parseView(reply)
	if err != nil {
		return nil, err
	}
	f := &Fleet{View: v, Prober: parseLease(reply[3]), Drainer: parseLease(reply[4])}
	f.Entries, _ = reply[5].(int64)
	f.Bytes, _ = reply[6].(int64)
	f.Oldest = ParseID(fmt.Sprint(reply[7]))
	f.Dead, _ = reply[8].(int64)
	f.Names, _ = reply[9].(int64)
	f.NamesOnly = strings.HasPrefix(v.Record.Limits, "names")
	f.Full = strings.HasSuffix(v.Record.Limits, "full")
	all, err := pairs(reply[2])
	if err != nil {
		return nil, err
	}
	for id, text := range all {
		at, text, _ := strings.Cut(text, " ")
		p := Process{ID: id}
		if ms, err := strconv.ParseInt(at, 10, 64); err == nil && json.Unmarshal([]byte(text), &p) == nil {
			p.Seen = time.UnixMilli(ms)
			f.Processes = append(f.Processes, p)
		}
	}
	slices.SortFunc(f.Processes, func(a, b Process) int { return cmp.Compare(a.ID, b.ID) })
	if v.Record.Serving == Closing && v.Now.Sub(v.Record.Since) >= ClosingTime {
		if v, _, err = s.Change(ctx, v.Record, Change{What: Late, By: id}); err == nil {
			f.View = v
		}
	}
	return f, nil
}

// Gone takes a process off the list of those that are alive.
func (s *Store) Gone(ctx context.Context, id string) error {
	return s.rdb.HDel(ctx, s.processes(), id).Err()
}

func parseLease(reply any) Lease {
	list, ok := reply.([]any)
	if !ok || len(list) != 2 {
		return Lease{}
	}
	holder, _ := list[0].(string)
	left, _ := list[1].(int64)
	if holder == "" {
		return Lease{}
	}
	return Lease{Holder: holder, Left: time.Duration(max(left, 0)) * time.Millisecond}
}

// Take takes a role, or renews it, for a time. A lease saves double work and no more: what keeps two
// drainers from delivering twice is the comparison with the position.
func (s *Store) Take(ctx context.Context, role Role, holder string, ttl time.Duration) (bool, Lease, error) {
	reply, err := leaseScript.Run(ctx, s.rdb, []string{s.lease(role)}, holder, max(ttl.Milliseconds(), 1)).Slice()
	if err != nil {
		return false, Lease{}, err
	}
	if len(reply) != 3 {
		return false, Lease{}, errRecord
	}
	mine, _ := reply[0].(int64)
	left, _ := reply[1].(int64)
	who, _ := reply[2].(string)
	return mine == 1, Lease{Holder: who, Left: time.Duration(max(left, 0)) * time.Millisecond}, nil
}

// Release gives a role back, if holder still has it.
func (s *Store) Release(ctx context.Context, role Role, holder string) error {
	return releaseScript.Run(ctx, s.rdb, []string{s.lease(role)}, holder).Err()
}
