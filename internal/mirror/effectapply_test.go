package mirror_test

import (
	"context"
	"maps"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/redis-fallback/fallback/internal/mirror"
)

// applier does operations as they are meant, on a server that has begun empty: a key that is not there
// is known to be absent unless it is unsure.
type applier struct {
	rdb    map[string]*redis.Client
	unsure map[string]bool
}

func (a *applier) apply(ctx context.Context, op mirror.Op) error {
	if op.DB == mirror.EveryDB {
		for db := range databases {
			op.DB = db
			if err := a.apply(ctx, op); err != nil {
				return err
			}
		}
		return nil
	}
	if op.DB == "0" {
		op.DB = ""
	}
	rdb, name := a.rdb[op.DB], op.DB+"/"+op.Key
	args := make([]any, len(op.Args))
	for i := range op.Args {
		args[i] = op.Args[i]
	}
	run := func() error {
		if err := rdb.Do(ctx, args...).Err(); err != nil && err != redis.Nil { //nolint:errorlint // as go-redis returns it
			return err
		}
		return nil
	}
	exists := rdb.Exists(ctx, op.Key).Val() == 1
	switch op.Kind {
	case mirror.Whole:
		delete(a.unsure, name)
		if op.Args[0] != "SET" {
			rdb.Unlink(ctx, op.Key)
		}
		return run()
	case mirror.Partial:
		if exists || !a.unsure[name] {
			return run()
		}
	case mirror.Count:
		if exists {
			return run()
		}
		a.unsure[name] = true
	case mirror.Gone:
		delete(a.unsure, name)
		rdb.Unlink(ctx, op.Key)
	case mirror.Unsure:
		a.unsure[name] = true
		rdb.Unlink(ctx, op.Key)
	case mirror.Rename:
		to := op.DB + "/" + op.Args[0]
		delete(a.unsure, to)
		if exists {
			return rdb.Rename(ctx, op.Key, op.Args[0]).Err()
		}
		a.unsure[to] = true
		delete(a.unsure, name)
		rdb.Unlink(ctx, op.Args[0])
	case mirror.Flush:
		maps.DeleteFunc(a.unsure, func(name string, _ bool) bool { return strings.HasPrefix(name, op.DB+"/") })
		return rdb.FlushDB(ctx).Err()
	}
	return nil
}
