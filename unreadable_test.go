package fallback_test

import (
	"errors"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// go-redis cannot read an error reply to TS.MGET and its like: "can't parse … reply: unexpected type -".
func TestRefusalThatGoRedisCannotRead(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.primary.Exhaust()
	// Neither server has time series: local answers with an error that go-redis cannot read either.
	if err := p.rdb.TSMGet(ctx, []string{"a=b"}).Err(); err == nil || refusal(err) {
		t.Errorf("TS.MGET over quota: %v, want local's answer", err)
	}
	p.serves(t, fallback.Local)

	p = newPair(t)
	p.primary.Exhaust()
	if err := p.rdb.TSMGet(fallback.PrimaryOnly(ctx), []string{"a=b"}).Err(); !refusal(err) {
		t.Errorf("TS.MGET for the primary only, over quota: %v, want its refusal", err)
	}

	p = newPair(t)
	p.primary.Exhaust()
	_, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.TSMGet(ctx, []string{"a=b"})
		return nil
	})
	if err == nil || refusal(err) {
		t.Errorf("TS.MGET in a pipeline over quota: %v, want local's answer", err)
	}
	p.serves(t, fallback.Local)

	p = newPair(t)
	if err := p.rdb.TSMGet(ctx, []string{"a=b"}).Err(); err == nil {
		t.Error("TS.MGET on a server without time series is no error")
	}
	p.serves(t, fallback.Primary)
}

// refusal reports whether err is what a caller must get of a primary that refuses for its quota.
func refusal(err error) bool {
	limit, ok := errors.AsType[*fallback.LimitError](err)
	return ok && limit.Kind == fallback.LimitRequests && err.Error() == fallbacktest.ReplyRequests
}
