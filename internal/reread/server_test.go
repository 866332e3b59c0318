package reread_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"sync"
	"testing"

	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis-fallback/fallback/internal/reread"
	"github.com/redis/go-redis/v9"
)

// recorder is a connection that keeps what is read from it.
type recorder struct {
	net.Conn
	mu   *sync.Mutex
	seen *bytes.Buffer
}

func (c recorder) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	c.seen.Write(p[:n])
	c.mu.Unlock()
	return n, err
}

// A pipeline is answered by a real server, and the bytes of its answer are given to the same commands
// once more through Answer: value and error of each are the same.
func TestAsGoRedisReads(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, protocol := range []int{2, 3} {
		var mu sync.Mutex
		var seen bytes.Buffer
		opt := server.Options()
		opt.Protocol, opt.DisableIdentity, opt.PoolSize, opt.PipelinePoolSize = protocol, true, 1, -1
		opt.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			return recorder{conn, &mu, &seen}, err
		}
		rdb := redis.NewClient(opt)
		t.Cleanup(func() { _ = rdb.Close() })
		if err := rdb.FlushAll(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		seen.Reset()
		mu.Unlock()

		direct, again := rdb.Pipeline(), rdb.Pipeline()
		everything(direct)
		everything(again)
		want, got := direct.Cmds(), again.Cmds()
		if _, err := direct.Exec(ctx); err == nil || !isRedis(err) {
			t.Fatalf("RESP%d: the pipeline's error is %v, want that of a command", protocol, err)
		}
		raw := append(fmt.Appendf(nil, "*%d\r\n", len(want)), seen.Bytes()...)

		var r reread.Reader
		if err := r.Answer(raw, got); err != nil {
			t.Fatalf("RESP%d: %v", protocol, err)
		}
		same(t, fmt.Sprintf("RESP%d, Answer", protocol), want, got)

		again = rdb.Pipeline()
		everything(again)
		got = again.Cmds()
		replies, err := reread.Split(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.AnswerEach(replies, got); err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprintf("RESP%d, AnswerEach", protocol), want, got)
	}
}

func isRedis(err error) bool {
	var redisErr redis.Error
	return errors.As(err, &redisErr)
}

func same(t *testing.T, how string, want, got []redis.Cmder) {
	t.Helper()
	failed := 0
	for i := range want {
		equal := reflect.DeepEqual(want[i], got[i])
		if scan, ok := want[i].(*redis.ScanCmd); ok { // has a function in it
			keys, cursor := scan.Val()
			gotKeys, gotCursor := got[i].(*redis.ScanCmd).Val()
			equal = reflect.DeepEqual(keys, gotKeys) && cursor == gotCursor && got[i].Err() == nil
		}
		if !equal {
			t.Errorf("%s: %v\nwant %v", how, got[i], want[i])
		}
		if want[i].Err() != nil {
			failed++
		}
	}
	if failed < 5 || failed > len(want)/2 {
		t.Errorf("%s: %d of %d commands fail, which compares little", how, failed, len(want))
	}
}
