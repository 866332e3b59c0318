package fallback_test

import (
	"time"

	"github.com/redis/go-redis/v9"
)

var hashCalls = map[string]sample{
	"HDel":                 with("h", "f1", "missing"),
	"HExists":              with("h", "f1"),
	"HGet":                 with("h", "f1"),
	"HGet no field":        with("h", "missing"),
	"HGetAll":              with("h"),
	"HGetAll missing":      with("missing"),
	"HIncrBy":              with("h", "n", 5),
	"HIncrBy no number":    with("h", "f1", 5),
	"HIncrByFloat":         with("h", "n", 0.5),
	"HKeys":                with("h"),
	"HLen":                 with("h"),
	"HMGet":                with("h", "f1", "missing", "n"),
	"HMSet":                with("h", "f1", 1, "f9", "x"),
	"HRandField":           with("h1", 1),
	"HRandFieldWithValues": with("h1", -2),
	"HScan":                with("h", 0, "f*", 100),
	"HScanNoValues":        with("h", 0, "f*", 100),
	"HSet":                 with("h", map[string]any{"f1": "again"}, "f8", 8),
	"HSet wrong type":      with("s", "f", 1),
	"HSetNX":               with("h", "new", 1),
	"HSetNX there":         with("h", "f1", 1),
	"HStrLen":              with("h", "f1"),
	"HVals":                with("h"),
}

// newerCalls have arguments that a server which knows them would take.
var newerCalls = map[string]sample{
	"HExpire":               with("h", time.Hour, "f1"),
	"HExpireAt":             with("h", far, "f1"),
	"HExpireAtWithArgs":     with("h", far, redis.HExpireArgs{NX: true}, "f1"),
	"HExpireTime":           with("h", "f1"),
	"HExpireWithArgs":       with("h", time.Hour, redis.HExpireArgs{NX: true}, "f1"),
	"HGetDel":               with("h", "f1"),
	"HGetEX":                with("h", "f1"),
	"HGetEXWithArgs":        with("h", &redis.HGetEXOptions{ExpirationType: redis.HGetEXExpirationPERSIST}, "f1"),
	"HPExpire":              with("h", time.Hour, "f1"),
	"HPExpireAt":            with("h", far, "f1"),
	"HPExpireTime":          with("h", "f1"),
	"HPTTL":                 with("h", "f1").but(rounded),
	"HPersist":              with("h", "f1"),
	"HSetEX":                with("h", "f1", "x"),
	"HTTL":                  with("h", "f1"),
	"JSONSet":               with("doc", "$", `{"a":[1,2]}`),
	"JSONSetMode":           with("doc", "$", `{"a":[1,2]}`, "NX"),
	"JSONSetWithArgs":       with("doc", "$", `{"a":[1,2]}`, &redis.JSONSetArgsOptions{}),
	"JSONGet":               with("doc", "$.a"),
	"JSONMGet":              with("$.a", "doc", "doc2"),
	"JSONNumIncrBy":         with("doc", "$.a[0]", 2),
	"MSetEX":                with(redis.MSetEXArgs{}, "k1", "v1"),
	"FTSearch":              with("idx", "@title:hello"),
	"FTCreate":              with("idx", &redis.FTCreateOptions{}, &redis.FieldSchema{FieldName: "title", FieldType: redis.SearchFieldTypeText}),
	"TSAdd":                 with("ts", 1000, 3.5),
	"TSMGet":                with([]string{"a=b"}),
	"TSMGetWithArgs":        with([]string{"a=b"}, &redis.TSMGetOptions{Latest: true}),
	"TSMRange":              with(0, 100, []string{"a=b"}),
	"TSMRangeWithArgs":      with(0, 100, []string{"a=b"}, &redis.TSMRangeOptions{Count: 5}),
	"TSMRevRange":           with(0, 100, []string{"a=b"}),
	"TSMRevRangeWithArgs":   with(0, 100, []string{"a=b"}, &redis.TSMRevRangeOptions{Count: 5}),
	"XTrimMaxLenApproxMode": with("x", 1, 10, "KEEPREF"),
	"XTrimMaxLenMode":       with("x", 1, "KEEPREF"),
	"XTrimMinIDApproxMode":  with("x", "3-0", 10, "KEEPREF"),
	"XTrimMinIDMode":        with("x", "3-0", "KEEPREF"),

	"BFAdd": with("bf", "item"),
	"VAdd":  with("vec", "elem", &redis.VectorValues{Val: []float64{1, 2}}),
	"VSim":  with("vec", &redis.VectorValues{Val: []float64{1, 2}}),
}
