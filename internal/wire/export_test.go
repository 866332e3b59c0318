package wire

import "slices"

// What is internal and takes bytes of strangers, for the tests.
var ReplyLen = replyLen

// Request parses a request that is written in these pieces, up to EXEC, and returns how many commands
// it saw.
func Request(pieces ...[]byte) (commands int64, ended bool) {
	var p parser
	ended = slices.ContainsFunc(pieces, p.feed)
	return p.commands, ended
}
