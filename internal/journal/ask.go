package journal

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// ask asks the primary what an inquiry wants to know, on a connection of its own: that of the drain may be
// within MULTI.
func (w *work) ask(ctx context.Context, q *inquiry) error {
	byDB := map[string][]*trace{}
	n := 0
	for _, t := range q.order {
		if t.asks() {
			byDB[t.db] = append(byDB[t.db], t)
			n++
		}
	}
	for db := range q.dbs {
		byDB[db] = append(byDB[db], nil...) // whether there is such a database
	}
	if len(byDB) == 0 {
		return nil
	}
	if err := w.afford(int64(3*n + 2*len(q.dbs))); err != nil {
		return err
	}
	conn := w.drain.Primary.EphemeralConn()
	defer func() { _ = conn.Close() }()
	for db, traces := range byDB {
		if db != "" {
			err := conn.Do(ctx, "select", db).Err()
			w.spent++
			if _, reply := errors.AsType[redis.Error](err); reply && !w.drain.refuses(err) {
				q.missing[db] = err
				continue
			}
			if err != nil {
				return w.link.judge("SELECT", err)
			}
		}
		for len(traces) > 0 {
			some := traces[:min(len(traces), confirmAtOnce/2)]
			if err := w.askSome(ctx, conn, some); err != nil {
				return err
			}
			traces = traces[len(some):]
		}
		if db != "" {
			w.spent++
			if err := conn.Do(ctx, "select", w.drain.home()).Err(); err != nil {
				return w.link.judge("SELECT", err)
			}
		}
	}
	return nil
}

// askSome asks about keys of the database that is selected: their types, and what the type does not tell.
func (w *work) askSome(ctx context.Context, conn *redis.Conn, traces []*trace) error {
	pipe := conn.Pipeline()
	takers := make([]func(), 0, len(traces))
	for _, t := range traces {
		kind := pipe.Type(ctx, t.key)
		more := t.askMore(ctx, pipe)
		takers = append(takers, func() {
			if kind.Err() == nil {
				t.kind = kind.Val()
			}
			more()
		})
	}
	w.spent += int64(pipe.Len())
	if cmds, err := pipe.Exec(ctx); err != nil {
		for _, cmd := range cmds {
			var reply redis.Error
			if err := cmd.Err(); err != nil && (!errors.As(err, &reply) || w.drain.refuses(err)) {
				return w.link.judge("reading", err)
			}
		}
	}
	for _, take := range takers {
		take()
	}
	return nil
}

// askMore asks for what the type does not tell. Keys of which only the type matters cost one command.
func (t *trace) askMore(ctx context.Context, pipe redis.Pipeliner) (take func()) {
	fields, groups := mattering(t.fields), mattering(t.groups)
	take = func() {}
	switch {
	case t.value:
		// Of a number its beginning is enough.
		cmd := pipe.GetRange(ctx, t.key, 0, 63)
		take = func() { t.number = cmd.Val() }
	case len(fields) > 0:
		cmd := pipe.HMGet(ctx, t.key, fields...)
		take = func() {
			t.numbers = map[string]string{}
			for i, v := range cmd.Val() {
				if text, ok := v.(string); ok {
					t.numbers[fields[i]] = text
				}
			}
		}
	case t.adds.ids != nil:
		t.adds.asked = len(t.adds.ids) + addsMore
		cmd := redis.NewSliceCmd(ctx, "xrevrange", t.key, "+", "-", "count", t.adds.asked)
		_ = pipe.Process(ctx, cmd)
		take = func() { t.adds.read(cmd.Val()) }
	}
	if len(groups) == 0 {
		return take
	}
	cmd, before := pipe.XInfoGroups(ctx, t.key), take
	return func() {
		before()
		if cmd.Err() != nil {
			return
		}
		t.present = map[string]bool{}
		for _, g := range cmd.Val() {
			t.present[g.Name] = true
		}
	}
}

// mattering returns the names that are true.
func mattering(m map[string]bool) (names []string) {
	for name, matters := range m {
		if matters {
			names = append(names, name)
		}
	}
	return names
}
