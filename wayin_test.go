package fallback //nolint:testpackage // the password is seen nowhere outside of it

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// What a program prints of a Hook, by mistake, does not have the primary's password in it.
func TestAHookThatIsPrintedShowsNoPassword(t *testing.T) {
	t.Parallel()
	local := redis.NewClient(&redis.Options{})
	defer local.Close()
	for _, args := range [][]any{{"hello", "3", "auth", "me", "hunter2"}, {"auth", "hunter2"}, {"auth", "me", "hunter2"}} {
		h := New(local)
		if h.in.sees(args); !h.in.known() || h.in.auth.password != "hunter2" {
			t.Fatalf("%v: the password was not seen", args[0])
		}
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			if strings.Contains(fmt.Sprintf(verb, h), "hunter2") {
				t.Errorf("%v shows the password", verb)
			}
		}
	}
}
