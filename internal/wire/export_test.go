package wire

// What is internal and takes bytes of strangers, for the tests.
var (
	ReplyLen    = replyLen
	RequestName = requestName
)

// Request parses a request that is written in these pieces, up to EXEC, and returns how many commands
// it saw.
func Request(pieces ...[]byte) (commands int64, ended bool) {
	var p parser
	for _, piece := range pieces {
		if p.feed(piece) {
			return p.commands, true
		}
	}
	return p.commands, false
}
