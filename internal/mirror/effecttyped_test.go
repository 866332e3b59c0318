package mirror_test

import (
	"context"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The types that go-redis has for replies of the calls, by name.
var (
	statusCalls = strings.Fields("set setex psetex mset hmset rename ltrim lset restore flushdb pfmerge xsetid")
	intCalls    = strings.Fields(`append setrange setbit incr decr incrby decrby del unlink hset hincrby hdel rpush lpush rpushx
		lpushx linsert lrem sadd srem sunionstore sinterstore zadd zrem zremrangebyrank zremrangebyscore zremrangebylex zunionstore
		zrangestore geoadd geosearchstore georadius pfadd bitop xtrim xdel xack copy sort`)
	boolCalls   = strings.Fields("setnx msetnx expire pexpire expireat pexpireat persist hsetnx smove move renamenx")
	stringCalls = strings.Fields("getset getdel getex lmove blmove rpoplpush brpoplpush xadd get")
	floatCalls  = strings.Fields("incrbyfloat hincrbyfloat zincrby")
)

// typed returns a call in the type that go-redis' method for it has.
func typed(ctx context.Context, args []any) redis.Cmder {
	name := args[0].(string)
	is := func(words ...any) bool {
		return slices.ContainsFunc(args[1:], func(v any) bool { return slices.Contains(words, v) })
	}
	counted := len(args) > 2
	switch {
	case name == "zadd" && is("incr"):
		return redis.NewFloatCmd(ctx, args...)
	case name == "set" && is("nx", "xx") && !is("get"), slices.Contains(boolCalls, name):
		return redis.NewBoolCmd(ctx, args...)
	case slices.Contains(statusCalls, name), name == "xgroup" && is("create", "setid"):
		return redis.NewStatusCmd(ctx, args...)
	case slices.Contains(intCalls, name), name == "xgroup":
		return redis.NewIntCmd(ctx, args...)
	case slices.Contains(stringCalls, name), (name == "lpop" || name == "rpop" || name == "spop") && !counted:
		return redis.NewStringCmd(ctx, args...)
	case slices.Contains(floatCalls, name):
		return redis.NewFloatCmd(ctx, args...)
	}
	switch name {
	case "lpop", "rpop", "spop", "blpop", "brpop":
		return redis.NewStringSliceCmd(ctx, args...)
	case "lmpop", "blmpop":
		return redis.NewKeyValuesCmd(ctx, args...)
	case "zpopmin", "zpopmax":
		return redis.NewZSliceCmd(ctx, args...)
	case "bzpopmin", "bzpopmax":
		return redis.NewZWithKeyCmd(ctx, args...)
	case "zmpop", "bzmpop":
		return redis.NewZSliceWithKeyCmd(ctx, args...)
	case "xreadgroup":
		return redis.NewXStreamSliceCmd(ctx, args...)
	case "xclaim":
		if is("justid") {
			return redis.NewStringSliceCmd(ctx, args...)
		}
		return redis.NewXMessageSliceCmd(ctx, args...)
	case "xautoclaim":
		if is("justid") {
			return redis.NewXAutoClaimJustIDCmd(ctx, args...)
		}
		return redis.NewXAutoClaimCmd(ctx, args...)
	}
	return redis.NewCmd(ctx, args...)
}
