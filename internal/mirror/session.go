package mirror

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// session is what local knows this process by, and the connection that it is told on.
type session struct {
	conn   *redis.Conn
	id     string // given by local; "" before
	token  string // which nobody else knows
	server string // the server's run id on this connection
	seq    int64  // of the last batch or sign of life
	acked  int64  // the last that was answered
	plain  bool   // claims are not possible: no plain socket
}

// self is what this process says of itself.
func (f *flusher) self() string {
	all := "0"
	if (f.m.intents.wire.Load() == nil || f.m.intents.deaf.Load()) && !Mutate.NoClaims {
		all = "1"
	}
	return f.token + " " + f.server + " " + all
}

func (f *flusher) disconnect() {
	if f.conn != nil {
		_ = f.conn.Close()
		f.conn = nil
	}
	f.unwire()
}

func (f *flusher) unwire() {
	if w := f.m.intents.wire.Swap(nil); w != nil {
		w.close()
	}
}

// connect makes sure of a connection, of local knowing this process, and of claims reaching it.
func (f *flusher) connect() error {
	m, ctx := f.m, context.Background()
	if f.conn == nil {
		conn := m.cfg.RDB.Conn()
		text, err := conn.Info(ctx, "server").Result()
		if err != nil && !redis.HasErrorPrefix(err, "") {
			_ = conn.Close()
			return err
		}
		f.conn, f.server = conn, infoField(text, "run_id")
		if f.server == "" {
			f.server = "unknown"
		}
	}
	if f.id == "" {
		if err := f.register(ctx); err != nil {
			return err
		}
		f.unwire()
	}
	f.wire(ctx)
	return nil
}

func (f *flusher) register(ctx context.Context) error {
	m := f.m
	f.token = token()
	sent := micros()
	v, err := m.scripts.register.call(ctx, f.conn, f.token, f.server, "1", flag(m.adopts.Load()), m.token, flag(m.off.Load() != nil))
	got := micros()
	if err != nil {
		return f.broken(err)
	}
	r, _ := v.([]any)
	f.learn(sent, got, r, 1)
	switch status := textOf(r, 0); status {
	case "OK":
	case "HELD", "OWNED":
		return f.turnOff(status, r)
	default:
		return errors.New("local gives no number to this process")
	}
	f.id, f.seq, f.acked = textOf(r, 3), 0, 0
	m.self.Store(&identity{f.id})
	if numberOf(r, 4) == 1 {
		m.empty.Store(true)
	}
	f.turnOn()
	return nil
}

// wire connects what claims are sent on, and says again what is claimed.
func (f *flusher) wire(ctx context.Context) {
	m := f.m
	if w := m.intents.wire.Load(); w != nil && (m.intents.deaf.Load() || w.gone()) {
		f.unwire()
	}
	if f.plain || m.intents.wire.Load() != nil || Mutate.NoClaims {
		return
	}
	w, err := dialWire(ctx, m.cfg.RDB, m.names.key("mirror:claims:"+f.id))
	if err != nil {
		f.plain = errors.Is(err, errNoWire)
		return
	}
	m.intents.deaf.Store(false)
	m.intents.wire.Store(w)
	for i := range m.gens {
		if g := &m.gens[i]; g.state != genFree && !w.again(g) {
			m.intents.deaf.Store(true)
		}
	}
}

// again sends all claims of a generation.
func (w *wire) again(g *generation) bool {
	if g.all.Load() {
		return w.claim(g, buckets)
	}
	for i := range g.bits {
		for word := g.bits[i].Load(); word != 0; word &= word - 1 {
			if !w.claim(g, uint32(i<<6|trailing(word))) { //nolint:gosec // fewer than buckets
				g.all.Store(true)
				return w.claim(g, buckets)
			}
		}
	}
	return true
}

// beat says that this process lives, and sees who does not, and how much room local has.
func (f *flusher) beat() error {
	m, ctx := f.m, context.Background()
	text, err := f.conn.Info(ctx, "memory").Result()
	if err != nil && !redis.HasErrorPrefix(err, "") {
		return f.broken(err)
	}
	f.stop(crowdedMemory(text, m.stopped.Load()))
	f.seq++
	sent := micros()
	v, err := m.scripts.beat.call(ctx, f.conn, f.id, strconv.FormatInt(f.seq, 10), strconv.FormatInt(f.acked, 10), f.self(), f.server, m.token)
	got := micros()
	if err != nil {
		return f.broken(err)
	}
	r, _ := v.([]any)
	f.learn(sent, got, r, 1)
	if status := textOf(r, 0); status != "OK" {
		return f.disowned(status)
	}
	f.acked = f.seq
	m.complete.Store(textOf(r, 4) == "1")
	if textOf(r, 5) == "1" {
		m.empty.Store(true)
	}
	if m.cfg.Fence() != "" && len(r) > 3 {
		f.findDead(r[3], (numberOf(r, 1)*1_000_000+numberOf(r, 2))/1000)
	}
	return nil
}

// findDead tells the janitor of processes that have not been heard of.
func (f *flusher) findDead(all any, now int64) {
	list, _ := all.([]any)
	if m, ok := all.(map[any]any); ok { // RESP3
		for k, v := range m {
			list = append(list, k, v)
		}
	}
	var found []dead
	for i := 0; i+1 < len(list); i += 2 {
		id, _ := list[i].(string)
		said, _ := list[i+1].(string)
		w := strings.Fields(said)
		if id == f.id || len(w) != 5 {
			continue
		}
		seen, _ := strconv.ParseInt(w[0], 10, 64)
		if now-seen > f.m.cfg.Timing.Dead.Milliseconds() {
			found = append(found, dead{id: id, said: said, all: w[4] != "0" || w[3] != f.server, by: f.id})
		}
	}
	if len(found) == 0 {
		return
	}
	select {
	case f.m.inspect <- found:
	default: // it is at it
	}
}

// start does what comes before anything else under a new fence, and empties local where nothing is known.
func (f *flusher) start() error {
	m, ctx := f.m, context.Background()
	for !f.begun {
		n, err := f.number(m.scripts.partial.call(ctx, f.conn, f.text, "500"))
		switch {
		case err != nil:
			return err
		case n < 0:
			return f.refused()
		}
		f.begun = n == 0
	}
	if !m.empty.Swap(false) {
		return nil
	}
	// What was lost before now is no more than all; what is lost from here on is deleted after it.
	m.lost.clear()
	n, err := f.number(m.scripts.empty.call(ctx, f.conn, f.text, strconv.FormatInt(m.cfg.Timing.Dead.Milliseconds(), 10)))
	if err != nil || n < 0 {
		m.empty.Store(true)
		switch {
		case err != nil:
			return err
		case n == -2:
			return errOthersOff
		}
		return f.refused()
	}
	m.complete.Store(false)
	if n > 0 {
		m.counters.emptied.Add(1)
		m.cfg.Log(slog.LevelWarn, "nothing is known of what local holds: it was emptied", slog.Int64("keys", n))
	}
	return nil
}

// refused is about a script that met another fence.
func (f *flusher) refused() error {
	f.m.counters.fenced.Add(1)
	f.m.cfg.Fenced()
	return errFencedThere
}

func (f *flusher) number(v any, err error) (int64, error) {
	if err != nil {
		return 0, f.broken(err)
	}
	n, _ := v.(int64)
	return n, nil
}

// leave ends the session. Who has something left does not say goodbye: it is taken for dead, and what it
// has claimed is deleted.
func (f *flusher) leave() {
	m := f.m
	f.forgo()
	m.queue.take(&f.cargo)
	f.next = 0
	f.forgo()
	idle := m.lost.n.Load() == 0 && !m.empty.Load()
	for i := range m.gens {
		idle = idle && m.gens[i].over()
	}
	if f.conn != nil && m.off.Load() != nil {
		_ = f.conn.HDel(context.Background(), m.names.key("mirror:off"), m.token).Err()
	}
	if idle && f.conn != nil && f.id != "" {
		_, _ = m.scripts.leave.call(context.Background(), f.conn, f.id, f.token, strconv.Itoa(slots))
	}
	f.disconnect()
}
