package mirror

// Bugs takes rules of the protocol away, so that the tests that must notice it can be seen to notice.
type Bugs struct {
	KeepUnsure bool // keys that are unsure are not deleted
	NoClaims   bool // nobody knows what a process that dies was about to write
}

// Mutate is set by tests, before a mirror is made, and by nothing else.
var Mutate Bugs
