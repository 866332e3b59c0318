package fallback_test

import (
	"fmt"

	"github.com/redis-fallback/fallback"
)

// byChance are differences that are not seen every time: whether the journal's channel is listened to
// yet, and what a counter that grows at random has come to.
var byChance = append(everywhereOnLocal("PubSubChannels"), everywhereOnLocal("ObjectFreq")...)

// documented are the differences that are known and stay, by call, shape and mode, with the reason.
var documented = differences(map[string][]string{
	"go-redis gives a queued SHUTDOWN an error of its own, with no text, and keeps it where MULTI is refused: " +
		"a bare client over quota gets the same": {
		"Shutdown, transaction, over quota", "Shutdown, transaction, quota hits",
		"ShutdownNoSave, transaction, over quota", "ShutdownNoSave, transaction, quota hits",
		"ShutdownSave, transaction, over quota", "ShutdownSave, transaction, quota hits",
	},
	"go-redis cannot read an error reply to this command, and gives up the replies behind it: whether those " +
		"commands were refused as well is not known, and what is not harmless twice is not replayed": {
		"TSMGet, pipeline, quota hits", "TSMGet, pipeline, quota hits inside",
		"TSMGetWithArgs, pipeline, quota hits", "TSMGetWithArgs, pipeline, quota hits inside",
		"TSMRange, pipeline, quota hits", "TSMRange, pipeline, quota hits inside",
		"TSMRangeWithArgs, pipeline, quota hits", "TSMRangeWithArgs, pipeline, quota hits inside",
		"TSMRevRange, pipeline, quota hits", "TSMRevRange, pipeline, quota hits inside",
		"TSMRevRangeWithArgs, pipeline, quota hits", "TSMRevRangeWithArgs, pipeline, quota hits inside",
	},
	"what the primary took before its quota was used up is not on local": {
		"DBSize, pipeline, quota hits inside", "Scan, pipeline, quota hits inside",
	},
	"processes that share local hear of switches there by a channel of the journal's": everywhereOnLocal("PubSubChannels"),
	"a counter that grows by chance, here by the test's looking at the key":           everywhereOnLocal("ObjectFreq"),
	"go-redis gives the error of a buffer that is too small to the whole pipeline, also to what was answered " +
		"before: here that was another pipeline, and keeps its answer": {
		"GetToBuffer too small, pipeline, quota hits inside",
	},
})

// everywhereOnLocal names a call in all shapes and modes in which local answers.
func everywhereOnLocal(call string) []string {
	var rows []string
	for _, m := range modes {
		if m.after != fallback.Local {
			continue
		}
		for _, as := range [...]shape{single, pipeline, transaction} {
			rows = append(rows, fmt.Sprintf("%s, %s, %s", call, as, m.name))
		}
	}
	return rows
}

func differences(byReason map[string][]string) map[string]string {
	rows := map[string]string{}
	for reason, names := range byReason {
		for _, name := range names {
			rows[name] = reason
		}
	}
	return rows
}
