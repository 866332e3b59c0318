package mirror

import (
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// Config says what a mirror works on. RDB, Name, Process and Fence must be there. The goroutines of a
// mirror hold the functions until Close: they must not hold what should be collected before it.
type Config struct {
	// RDB is a client of local whose connections are in the journal's database.
	RDB *redis.Client
	// Name is the service's.
	Name string
	// Database is the journal's database on local, Home the one that holds the user's keys.
	Database, Home int
	// Process names this process among all that share local.
	Process string
	// Fence returns the text of the fence under which the primary serves, "" while it does not. It must
	// not wait.
	Fence func() string
	// Fenced is told that local knows another record. It must not wait.
	Fenced func()
	// Cold is told of a key that local does not hold and that was written on the primary, or that was
	// deleted on local because nothing sure is known of it. db is as in Op. It must not wait.
	Cold func(db, key string)
	// Log takes what an operator should read. There are no keys and no values in it.
	Log func(level slog.Level, msg string, attrs ...slog.Attr)
	// Bytes and Ops bound the queue. 0 is the default: 64 MiB, and 1,000,000 operations.
	Bytes int64
	Ops   int
	// Filter chooses the keys that local shall hold; nil chooses all.
	Filter func(key string) bool
	// Timing is for tests; the zero value is the default.
	Timing Timing
}
