package fallback_test

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// idle is what a stream tells of how long ago something was.
var idle = masked("Idle", "Inactive", "SeenTime", "ActiveTime", "DeliveryTime")

func autoClaim() *redis.XAutoClaimArgs {
	return &redis.XAutoClaimArgs{Stream: "x", Group: "g", Consumer: "c2", Start: "0", Count: 10}
}

func claim() *redis.XClaimArgs {
	return &redis.XClaimArgs{Stream: "x", Group: "g", Consumer: "c2", Messages: []string{"1-1", "2-1"}}
}

var streamCalls = map[string]sample{
	"XAck":                   with("x", "g", "1-1", "99-1"),
	"XAdd":                   with(&redis.XAddArgs{Stream: "x", ID: "9-1", Values: []any{"f", 1}}),
	"XAdd an id of its own":  with(&redis.XAddArgs{Stream: "x", Values: []any{"f", 1}}).but(kind).writingAnew(),
	"XAdd too small":         with(&redis.XAddArgs{Stream: "x", ID: "1-1", Values: []any{"f", 1}}),
	"XAdd no stream":         with(&redis.XAddArgs{Stream: "missing", NoMkStream: true, ID: "1-1", Values: []any{"f", 1}}),
	"XAutoClaim":             with(autoClaim()),
	"XAutoClaimJustID":       with(autoClaim()),
	"XAutoClaimWithDeleted":  with(autoClaim()).after("XDEL x 2-1"),
	"XClaim":                 with(claim()),
	"XClaimJustID":           with(claim()),
	"XDel":                   with("x", "2-1", "99-1"),
	"XGroupCreate":           with("x", "g2", "0"),
	"XGroupCreate busy":      with("x", "g", "0"),
	"XGroupCreateConsumer":   with("x", "g", "c3"),
	"XGroupCreateMkStream":   with("t", "g", "$"),
	"XGroupDelConsumer":      with("x", "g", "c1"),
	"XGroupDestroy":          with("x", "g"),
	"XGroupSetID":            with("x", "g", "1-1"),
	"XInfoConsumers":         with("x", "g").but(idle),
	"XInfoConsumers missing": with("missing", "g"),
	"XInfoGroups":            with("x"),
	"XInfoStream":            with("x"),
	"XInfoStreamFull":        with("x", 10).but(idle),
	"XLen":                   with("x"),
	"XPending":               with("x", "g"),
	"XPendingExt":            with(&redis.XPendingExtArgs{Stream: "x", Group: "g", Start: "-", End: "+", Count: 10}).but(idle),
	"XRange":                 with("x", "-", "2"),
	"XRangeN":                with("x", "-", "+", 1),
	"XRead":                  with(&redis.XReadArgs{Streams: []string{"x", "x2", "1-1", "0"}, Count: 1, Block: -1}),
	"XRead nothing new":      with(&redis.XReadArgs{Streams: []string{"x", "$"}, Block: time.Millisecond}),
	"XReadGroup":             with(&redis.XReadGroupArgs{Group: "g", Consumer: "c2", Streams: []string{"x", ">"}, Block: -1}),
	"XReadGroup nothing new": with(&redis.XReadGroupArgs{Group: "g", Consumer: "c2", Streams: []string{"x", ">"}, Block: time.Millisecond, NoAck: true}).after("XGROUP SETID x g 3-1"),
	"XReadGroup no group":    with(&redis.XReadGroupArgs{Group: "missing", Consumer: "c2", Streams: []string{"x", ">"}, Block: -1}),
	"XReadStreams":           with("x", "x2", "0", "0"),
	"XRevRange":              with("x", "+", "-"),
	"XRevRangeN":             with("x", "+", "-", 2),
	"XTrimMaxLen":            with("x", 1),
	"XTrimMaxLenApprox":      with("x", 1, 10),
	"XTrimMinID":             with("x", "3-0"),
	"XTrimMinIDApprox":       with("x", "3-0", 10),
}
