package mirror_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redis-fallback/fallback/internal/mirror"
)

type marshaled struct{ text string }

func (m marshaled) MarshalBinary() ([]byte, error) { return []byte(m.text), nil }

type named string

// TestAppendArgWritesAsGoRedisDoes sends every type that go-redis knows to the other end of a pipe.
func TestAppendArgWritesAsGoRedisDoes(t *testing.T) {
	t.Parallel()
	moment := time.Date(2026, 2, 3, 4, 5, 6, 7, time.FixedZone("", 3600))
	values := []any{
		nil, "text", "", []byte("bytes"), []byte(nil), true, false,
		1, int8(-2), int16(3), int32(-4), int64(5), uint(6), uint8(7), uint16(8), uint32(9), uint64(1<<64 - 1), uintptr(11),
		float32(0.1), 0.1, 1e21, -0.5, 100.0, 1e-7,
		moment, time.Minute, -time.Nanosecond, net.ParseIP("10.0.0.1"),
		marshaled{"m"},
		marshaled{strings.Repeat("x", 127)},
		marshaled{strings.Repeat("x", 128)},
		marshaled{strings.Repeat("x", 70000)},
		&marshaled{"p"},
		new("text"), new(true), new(false), new(1), new(int8(-2)), new(int16(3)), new(int32(4)),
		new(int64(5)), new(uint(6)), new(uint8(7)), new(uint16(8)), new(uint32(9)), new(uint64(10)),
		new(uintptr(11)), new(float32(0.1)), new(0.1), new(moment), new(time.Minute),
		(*string)(nil), (*bool)(nil), (*int)(nil), (*int8)(nil), (*int16)(nil), (*int32)(nil), (*int64)(nil), (*uint)(nil),
		(*uint8)(nil), (*uint16)(nil), (*uint32)(nil), (*uint64)(nil), (*uintptr)(nil), (*float32)(nil), (*float64)(nil),
		(*time.Time)(nil), (*time.Duration)(nil), strings.Repeat("x", 300),
	}
	sent := written(t, append([]any{"set"}, values...))
	for i, v := range values {
		if got := string(mirror.AppendArg(nil, v)); got != sent[i+1] {
			t.Errorf("%T %v: %q, go-redis writes %q", v, v, got, sent[i+1])
		}
	}
	var ops mirror.Ops
	ops.Add(mirror.Whole, "", "k", values...)
	for op := range ops.All {
		for i, got := range op.Args {
			if got != sent[i+1] {
				t.Errorf("%T %v: %q from Ops, go-redis writes %q", values[i], values[i], got, sent[i+1])
			}
		}
	}
	// What go-redis refuses is never sent: any text will do.
	_ = mirror.AppendArg(nil, named("text"))
	_ = mirror.AppendArg(nil, struct{}{})
	_ = mirror.AppendArg(nil, new(new("text")))
}

// written returns what go-redis writes for the arguments of a command.
func written(t *testing.T, args []any) []string {
	t.Helper()
	got := make(chan []string, 1)
	rdb := redis.NewClient(&redis.Options{
		Protocol: 2, DisableIdentity: true, MaxRetries: -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				defer server.Close()
				rd := bufio.NewReader(server)
				for {
					words, err := readCommand(rd)
					if err != nil {
						return
					}
					answer := "-ERR unknown command\r\n" // to HELLO
					if words[0] == "set" {
						got <- words
						answer = "+OK\r\n"
					}
					if _, err := server.Write([]byte(answer)); err != nil {
						return
					}
				}
			}()
			return client, nil
		},
	})
	defer rdb.Close()
	if err := rdb.Do(t.Context(), args...).Err(); err != nil {
		t.Fatal(err)
	}
	return <-got
}

func readCommand(rd *bufio.Reader) ([]string, error) {
	length := func(mark byte) (int, error) {
		line, err := rd.ReadString('\n')
		if err != nil {
			return 0, err
		}
		if line[0] != mark {
			return 0, errors.New("no command")
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	n, err := length('*')
	if err != nil {
		return nil, err
	}
	words := make([]string, n)
	for i := range words {
		size, err := length('$')
		if err != nil {
			return nil, err
		}
		text := make([]byte, size+2)
		if _, err := io.ReadFull(rd, text); err != nil {
			return nil, err
		}
		words[i] = string(text[:size])
	}
	return words, nil
}
