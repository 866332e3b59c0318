package fallback_test

// documented are the differences that are known and stay, by call, shape and mode, with the reason.
var documented = differences(map[string][]string{
	"go-redis gives a queued SHUTDOWN an error of its own, with no text, and keeps it where MULTI is refused: a bare client over quota gets the same": {
		"Shutdown, transaction, over quota", "ShutdownNoSave, transaction, over quota", "ShutdownSave, transaction, over quota",
		"Shutdown, transaction, quota hits", "ShutdownNoSave, transaction, quota hits", "ShutdownSave, transaction, quota hits",
	},
	"go-redis cannot read an error reply to this command, and gives up the replies behind it: whether those commands were refused as well is not known, and what is not harmless twice is not replayed": {
		"TSMGet, pipeline, quota hits", "TSMGetWithArgs, pipeline, quota hits",
		"TSMRange, pipeline, quota hits", "TSMRangeWithArgs, pipeline, quota hits",
		"TSMRevRange, pipeline, quota hits", "TSMRevRangeWithArgs, pipeline, quota hits",
	},
})

func differences(byReason map[string][]string) map[string]string {
	rows := map[string]string{}
	for reason, names := range byReason {
		for _, name := range names {
			rows[name] = reason
		}
	}
	return rows
}
