package fallback_test

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// far is a point in time that no test reaches.
var far = time.Unix(4102444800, 0)

// helloDump is what DUMP of "hello" gives.
const helloDump = "\x00\x05hello\n\x00cr\xdfve4 \n"

var keyCalls = map[string]sample{
	"Copy":                 with("s", "t", 0, false),
	"Copy onto another":    with("s", "n", 0, false),
	"Del":                  with("s", "missing", "n"),
	"Dump":                 with("s"),
	"Dump missing":         with("missing"),
	"Exists":               with("s", "s", "missing"),
	"Expire":               with("s", time.Hour),
	"Expire milliseconds":  with("s", 1500*time.Millisecond+time.Hour),
	"ExpireAt":             with("s", far),
	"ExpireGT":             with("e", time.Hour),
	"ExpireLT":             with("e", time.Hour),
	"ExpireNX":             with("s", time.Hour),
	"ExpireXX":             with("s", time.Hour),
	"ExpireTime":           with("e"),
	"Keys":                 with("l*").but(sorted),
	"Migrate":              with("127.0.0.1", "1", "missing", 0, time.Second),
	"Move":                 with("missing", 1),
	"ObjectEncoding":       with("l"),
	"ObjectFreq":           with("s").after("CONFIG SET maxmemory-policy allkeys-lfu", "SET s hello").undo("CONFIG SET maxmemory-policy noeviction"),
	"ObjectFreq forbidden": with("s"),
	"ObjectIdleTime":       with("s").but(rounded),
	"ObjectRefCount":       with("s"),
	"PExpire":              with("s", time.Hour),
	"PExpireAt":            with("s", far),
	"PExpireTime":          with("e"),
	"PTTL":                 with("v").but(rounded),
	"Persist":              with("e"),
	"RandomKey":            with().after("FLUSHDB", "SET alone 1").only(single),
	"RandomKey of two":     with().but(kind).only(pipeline, transaction),
	"RandomKey of none":    with().after("FLUSHDB").only(single),
	"Rename":               with("s", "t"),
	"Rename missing":       with("missing", "t"),
	"RenameNX":             with("s", "n"),
	"Restore":              with("t", 0, helloDump),
	"Restore busy":         with("n", 0, helloDump),
	"RestoreReplace":       with("n", time.Hour, helloDump),
	"Scan":                 with(0, "*", 1000).but(sorted),
	"ScanType":             with(0, "*", 1000, "hash").but(sorted),
	"Sort":                 with("sl", &redis.Sort{By: "w_*", Get: []string{"#", "w_*"}, Order: "DESC", Count: 2}),
	"SortInterfaces":       with("sl", &redis.Sort{Get: []string{"missing_*", "w_*"}}),
	"SortRO":               with("sl", &redis.Sort{Alpha: true}),
	"SortStore":            with("sl", "t", &redis.Sort{}),
	"TTL":                  with("v").but(rounded),
	"TTL none":             with("s"),
	"TTL missing":          with("missing"),
	"Touch":                with("s", "missing"),
	"Type":                 with("z"),
	"Unlink":               with("s", "n"),
}
