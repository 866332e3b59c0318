package journal_test

import (
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/journal"
)

func TestAnAddressIsTheSameHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	want := journal.Address("tcp", "127.0.0.1:6379")
	for _, addr := range []string{"localhost:6379", "[::1]:6379", ":6379", "LocalHost:6379"} {
		if got := journal.Address("tcp", addr); got != want {
			t.Errorf("%s is another address", addr)
		}
	}
	for network, addr := range map[string]string{"tcp": "127.0.0.1:6380", "unix": "127.0.0.1:6379"} {
		if got := journal.Address(network, addr); got == want || strings.Contains(got, "127") {
			t.Errorf("%s %s: %s", network, addr, got)
		}
	}
	if journal.NormalAddr("/run/redis.sock") != "/run/redis.sock" {
		t.Error("a socket has another name")
	}
}
