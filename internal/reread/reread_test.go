package reread_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/redis-fallback/fallback/internal/reread"
	"github.com/redis/go-redis/v9"
)

var ctx = context.Background()

// An error reply is the error of its own command, whatever go-redis would do on hearing it from a
// server: send the commands again, close the connection, or ask another server.
func TestErrorsComeThroughAsTheyAre(t *testing.T) {
	t.Parallel()
	var r reread.Reader
	for _, text := range []string{
		"LOADING Redis is loading the dataset in memory", "READONLY You can't write against a read only replica.",
		"MOVED 3999 127.0.0.1:6381", "MOVED 3999 reread", "ASK 3999 127.0.0.1:6381", "CLUSTERDOWN The cluster is down",
		"TRYAGAIN again", "MASTERDOWN Link with MASTER is down", "NOREPLICAS none", "ERR max number of clients reached",
		"WRONGTYPE Operation against a key holding the wrong kind of value", "OOM command not allowed",
		"NOSCRIPT No matching script", "NOAUTH Authentication required.", "EXECABORT Transaction discarded",
	} {
		for range 3 {
			get, incr, last := redis.NewStringCmd(ctx, "get", "k"), redis.NewIntCmd(ctx, "incr", "n"), redis.NewStatusCmd(ctx, "ping")
			reply := "*3\r\n-" + text + "\r\n-" + text + "\r\n+PONG\r\n"
			if err := r.Answer([]byte(reply), []redis.Cmder{get, incr, last}); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			for _, cmd := range []redis.Cmder{get, incr} {
				var redisErr redis.Error
				if err := cmd.Err(); err == nil || err.Error() != text || !errors.As(err, &redisErr) {
					t.Errorf("%s has error %v, want %s", cmd.Name(), err, text)
				}
			}
			if v, err := last.Result(); v != "PONG" || err != nil {
				t.Errorf("after %s: %q, %v", text, v, err)
			}
		}
	}
}

// go-redis keeps an error that a command has, and a JSONCmd that has one does not read: the replies
// would be shifted by one.
func TestAnOldErrorIsForgotten(t *testing.T) {
	t.Parallel()
	var r reread.Reader
	json, get := redis.NewJSONSliceCmd(ctx, "json.mget", "a", "$"), redis.NewStringCmd(ctx, "get", "k")
	rdb := redis.NewClient(&redis.Options{})
	defer rdb.Close()
	doc := rdb.Pipeline().JSONGet(ctx, "a")
	for _, cmd := range []redis.Cmder{json, doc, get} {
		cmd.SetErr(errors.New("refused"))
	}
	reply := "*3\r\n*1\r\n$2\r\n[]\r\n$2\r\n{}\r\n$5\r\nvalue\r\n"
	if err := r.Answer([]byte(reply), []redis.Cmder{json, doc, get}); err != nil {
		t.Fatal(err)
	}
	if v, err := doc.Result(); v != "{}" || err != nil {
		t.Errorf("JSON.GET: %q, %v", v, err)
	}
	if v, err := get.Result(); v != "value" || err != nil {
		t.Errorf("GET: %q, %v", v, err)
	}
}

// What a command cannot parse is its error and that of the ones after it, as in a pipeline, and no
// reply is left for the next call.
func TestAReplyThatCannotBeParsed(t *testing.T) {
	t.Parallel()
	var r reread.Reader
	for range 3 {
		n, get := redis.NewIntCmd(ctx, "incr", "n"), redis.NewStringCmd(ctx, "get", "k")
		if err := r.Answer([]byte("*2\r\n+word\r\n$1\r\nv\r\n"), []redis.Cmder{n, get}); err != nil {
			t.Fatal(err)
		}
		if n.Err() == nil || get.Err() == nil {
			t.Errorf("errors %v and %v, want that of the number in both", n.Err(), get.Err())
		}
		get = redis.NewStringCmd(ctx, "get", "k")
		if err := r.Answer([]byte("*1\r\n$1\r\nv\r\n"), []redis.Cmder{get}); err != nil || get.Val() != "v" || get.Err() != nil {
			t.Errorf("the next call: %v, %q, %v", err, get.Val(), get.Err())
		}
	}
}

// wrapper is a command with something around it, as others make them.
type wrapper struct{ redis.Cmder }

func TestACommandInAWrapper(t *testing.T) {
	t.Parallel()
	var r reread.Reader
	mget := redis.NewSliceCmd(ctx, "mget", "a", "b")
	pop := redis.NewStringSliceCmd(ctx, "blpop", "l", 0)
	if err := r.Answer([]byte("*2\r\n*2\r\n$1\r\nv\r\n$-1\r\n*-1\r\n"), []redis.Cmder{wrapper{mget}, &wrapper{pop}}); err != nil {
		t.Fatal(err)
	}
	if v := fmt.Sprint(mget.Val()); v != "[v <nil>]" || mget.Err() != nil || !errors.Is(pop.Err(), redis.Nil) {
		t.Errorf("%s, %v; %v", v, mget.Err(), pop.Err())
	}
}

// deaf keeps its error, with which it does not read.
type deaf struct{ *redis.JSONCmd }

func (deaf) SetErr(error) {}

// A command that leaves its reply to the next one is an error of all: a value would be another's. The
// next call has replies of its own.
func TestACommandThatDoesNotReadItsReply(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{})
	defer rdb.Close()
	var r reread.Reader
	for range 3 {
		doc := rdb.Pipeline().JSONGet(ctx, "a")
		doc.SetErr(errors.New("refused"))
		get, ping := redis.NewStringCmd(ctx, "get", "k"), redis.NewStatusCmd(ctx, "ping")
		if err := r.Answer([]byte("*3\r\n$2\r\n{}\r\n$1\r\nv\r\n+PONG\r\n"), []redis.Cmder{deaf{doc}, get, ping}); err != nil {
			t.Fatal(err)
		}
		if get.Err() == nil || ping.Err() == nil {
			t.Errorf("%q, %v and %q, %v, want errors", get.Val(), get.Err(), ping.Val(), ping.Err())
		}
		ping = redis.NewStatusCmd(ctx, "ping")
		if err := r.Answer([]byte("*1\r\n+PONG\r\n"), []redis.Cmder{ping}); err != nil || ping.Val() != "PONG" || ping.Err() != nil {
			t.Errorf("afterwards: %v, %q, %v", err, ping.Val(), ping.Err())
		}
	}
}

// No goroutine is left, or the bubble would not end.
func TestInABubble(t *testing.T) {
	t.Parallel()
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			var r reread.Reader
			for range 3 {
				ping := redis.NewStatusCmd(ctx, "ping")
				if err := r.Answer([]byte("*1\r\n+PONG\r\n"), []redis.Cmder{ping}); err != nil || ping.Val() != "PONG" {
					t.Errorf("%v, %q, %v", err, ping.Val(), ping.Err())
				}
			}
			r.Close()
		})
	}
}

type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic("the caller's writer") }

// A panic of the caller's own code is the caller's, and takes nothing with it.
func TestAPanicIsTheCallers(t *testing.T) {
	t.Parallel()
	var r reread.Reader
	for range 3 {
		func() {
			defer func() {
				if v := recover(); v != "the caller's writer" {
					t.Errorf("recovered %v", v)
				}
			}()
			_ = r.Answer([]byte("*1\r\n+OK\r\n"), []redis.Cmder{redis.NewRawWriteToCmd(ctx, panicking{}, "ping")})
		}()
		ping := redis.NewStatusCmd(ctx, "ping")
		if err := r.Answer([]byte("*1\r\n+PONG\r\n"), []redis.Cmder{ping}); err != nil || ping.Val() != "PONG" {
			t.Errorf("afterwards: %v, %q, %v", err, ping.Val(), ping.Err())
		}
	}
}

// Raw commands take errors for values, and write what they read.
func TestRawCommands(t *testing.T) {
	t.Parallel()
	var r reread.Reader
	var b strings.Builder
	raw, to := redis.NewRawCmd(ctx, "get", "k"), redis.NewRawWriteToCmd(ctx, &b, "lrange", "l", 0, -1)
	refused := redis.NewRawCmd(ctx, "incr", "l")
	list := "*2\r\n$1\r\na\r\n%1\r\n+k\r\n,1.5\r\n"
	if err := r.Answer([]byte("*3\r\n$-1\r\n"+list+"-WRONGTYPE no\r\n"), []redis.Cmder{raw, to, refused}); err != nil {
		t.Fatal(err)
	}
	if string(raw.Val()) != "$-1\r\n" || b.String() != list || string(refused.Val()) != "-WRONGTYPE no\r\n" {
		t.Errorf("%q, %q, %q", raw.Val(), b.String(), refused.Val())
	}
}

// A value that was marshalled for the script is not marshalled again.
func TestArgumentsAreNotReadAgain(t *testing.T) {
	t.Parallel()
	var r reread.Reader
	cmd := redis.NewStatusCmd(ctx, "set", "k", make(chan int)) // what go-redis cannot marshal
	if err := r.Answer([]byte("*1\r\n+OK\r\n"), []redis.Cmder{cmd}); err != nil || cmd.Val() != "OK" || cmd.Err() != nil {
		t.Errorf("%v, %q, %v", err, cmd.Val(), cmd.Err())
	}
}

func TestOnlyAnArrayOfAllReplies(t *testing.T) {
	t.Parallel()
	var r reread.Reader
	for _, raw := range []string{
		"", "*", "*1", "*1\r\n", "+OK\r\n", "-ERR no\r\n", "$-1\r\n", "*-1\r\n", "*0\r\n", "*2\r\n+OK\r\n+OK\r\n",
		"*1\r\n+OK\r\n+OK\r\n", "*1\r\n$5\r\nabc\r\n", "*1\r\n$3\r\nabcde", "*1\r\n>1\r\n+x\r\n", "*1\r\n$?\r\n",
		"*1\r\n*9223372036854775807\r\n", "*1\r\n%9223372036854775807\r\n", "*1\r\n$-2\r\n", "*1\r\n*x\r\n",
		"*1\r\n" + strings.Repeat("*1\r\n", 100_000) + "+OK\r\n", "~1\r\n+OK\r\n", "*+1\r\n:\n",
	} {
		cmd := redis.NewStatusCmd(ctx, "ping")
		if err := r.Answer([]byte(raw), []redis.Cmder{cmd}); !errors.Is(err, reread.ErrReply) {
			t.Errorf("%.40q: error %v", raw, err)
		}
		if cmd.Val() != "" || cmd.Err() != nil {
			t.Errorf("%.40q was given: %q, %v", raw, cmd.Val(), cmd.Err())
		}
	}
	if err := r.Answer([]byte("*0\r\n"), nil); err != nil {
		t.Errorf("no command: %v", err)
	}
	for _, replies := range [][][]byte{nil, {[]byte("+OK\r\n+OK\r\n")}, {[]byte("+OK")}, {nil}, {nil, nil}} {
		if err := r.AnswerEach(replies, []redis.Cmder{redis.NewStatusCmd(ctx, "ping")}); !errors.Is(err, reread.ErrReply) {
			t.Errorf("%q: error %v", replies, err)
		}
	}
}

// Any number of goroutines may answer at the same time, and after Close as well.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	var r reread.Reader
	for range 2 {
		var wg sync.WaitGroup
		for g := range 50 {
			wg.Go(func() {
				for i := range 20 {
					want := strings.Repeat("x", g*i*i)
					get, n := redis.NewStringCmd(ctx, "get", "k"), redis.NewIntCmd(ctx, "incr", "n")
					replies := [][]byte{fmt.Appendf(nil, "$%d\r\n%s\r\n", len(want), want), fmt.Appendf(nil, ":%d\r\n", i)}
					if err := r.AnswerEach(replies, []redis.Cmder{get, n}); err != nil {
						t.Error(err)
					}
					if get.Val() != want || n.Val() != int64(i) || get.Err() != nil || n.Err() != nil {
						t.Errorf("%d bytes, %d: %v, %v", len(get.Val()), n.Val(), get.Err(), n.Err())
					}
				}
			})
		}
		wg.Wait()
		r.Close()
	}
}
