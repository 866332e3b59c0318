package fallback_test

import (
	"strings"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
)

// A script that this process has seen is known on both servers, by its hash.
func TestScriptsTravel(t *testing.T) {
	t.Parallel()
	const (
		sent   = "return {'sent', ARGV[1]}"
		loaded = "return redis.call('incrby', KEYS[1], ARGV[1])"
		piped  = "return 'piped'"
		only   = "return 'only local has it'"
	)
	s := newRealServers(t)
	rdb := s.rdb
	if err := rdb.Eval(ctx, sent, nil, "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := rdb.ScriptLoad(ctx, loaded).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Eval(ctx, piped, nil)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s.h.Pin(fallback.Local)
	if v, err := rdb.EvalSha(ctx, sha(sent), nil, "2").StringSlice(); err != nil || strings.Join(v, " ") != "sent 2" {
		t.Errorf("EVALSHA of a script that was sent: %v, %v", v, err)
	}
	if v, err := rdb.EvalShaRO(ctx, strings.ToUpper(sha(sent)), nil, "3").StringSlice(); err != nil || strings.Join(v, " ") != "sent 3" {
		t.Errorf("EVALSHA_RO: %v, %v", v, err)
	}
	if n, err := rdb.EvalSha(ctx, sha(loaded), []string{"n"}, 5).Int(); n != 5 || err != nil {
		t.Errorf("EVALSHA of a script that was loaded: %v, %v", n, err)
	}
	s.back.ScriptFlush(ctx)
	cmds, err := rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Incr(ctx, "n")
		pipe.EvalSha(ctx, sha(loaded), []string{"n"}, 2)
		pipe.EvalSha(ctx, sha(piped), nil)
		return nil
	})
	if err != nil || cmds[1].(*redis.Cmd).Val() != int64(8) || cmds[2].(*redis.Cmd).Val() != "piped" {
		t.Errorf("EVALSHA in a transaction: %v, %v", cmds, err)
	}
	if err := rdb.EvalSha(ctx, sha("never seen"), nil).Err(); !redis.HasErrorPrefix(err, "NOSCRIPT") {
		t.Errorf("EVALSHA of a script that nobody has seen: %v", err)
	}
	if v, err := redis.NewScript("return ARGV[1]").Run(ctx, rdb, nil, "run").Text(); v != "run" || err != nil {
		t.Errorf("Script.Run: %q, %v", v, err)
	}
	if err := rdb.ScriptLoad(ctx, only).Err(); err != nil {
		t.Fatal(err)
	}
	s.h.Pin(fallback.Primary)
	if _, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.EvalSha(ctx, sha(only), nil)
		return nil
	}); err != nil {
		t.Errorf("in a pipeline on the primary, loaded while local served: %v", err)
	}
	s.primary.Client(t).ScriptFlush(ctx)
	if v, err := rdb.EvalSha(ctx, sha(only), nil).Text(); v != "only local has it" || err != nil {
		t.Errorf("on the primary, loaded while local served: %q, %v", v, err)
	}
}

// Under WATCH too.
func TestScriptsTravelIntoATransaction(t *testing.T) {
	t.Parallel()
	for from, to := range map[fallback.Backend]fallback.Backend{fallback.Primary: fallback.Local, fallback.Local: fallback.Primary} {
		s := newRealServers(t)
		s.h.Pin(from)
		hash := s.rdb.ScriptLoad(ctx, "return 'here'").Val()
		s.h.Pin(to)
		if err := s.rdb.Watch(ctx, func(tx *redis.Tx) error {
			if v, err := tx.EvalSha(ctx, hash, []string{"n"}).Text(); v != "here" || err != nil {
				t.Errorf("to %v: EVALSHA %q, %v", to, v, err)
			}
			s.primary.Client(t).ScriptFlush(ctx)
			s.back.ScriptFlush(ctx)
			cmds, err := tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.Incr(ctx, "n")
				pipe.EvalSha(ctx, hash, []string{"n"})
				return nil
			})
			if err == nil && cmds[1].(*redis.Cmd).Val() != "here" {
				t.Errorf("to %v: EVALSHA in EXEC: %v", to, cmds)
			}
			return err
		}, "n"); err != nil {
			t.Errorf("to %v: %v", to, err)
		}
	}
}

// A script may come as bytes, as any argument may.
func TestScriptsOfBytes(t *testing.T) {
	t.Parallel()
	s := newRealServers(t)
	if v, err := s.rdb.Do(ctx, "EVAL", []byte("return 'b'"), 0).Text(); v != "b" || err != nil {
		t.Errorf("EVAL: %q, %v", v, err)
	}
	cmds, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Do(ctx, "EVAL", []byte("return 'b'"), 0)
		return nil
	})
	if err != nil || cmds[0].(*redis.Cmd).Val() != "b" {
		t.Errorf("EVAL in a pipeline: %v, %v", cmds, err)
	}
}

// A library that is loaded on one server is there on the other.
func TestFunctionsTravel(t *testing.T) {
	t.Parallel()
	library := func(name string) string {
		return "#!lua name=" + name + "\nredis.register_function{function_name='" + name + "f', " +
			"callback=function(keys, args) return args[1] end, flags={'no-writes'}}"
	}
	s := newRealServers(t)
	if err := s.rdb.FunctionLoad(ctx, library("one")).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "loaded on local too", func() bool {
		libs, err := s.back.FunctionList(ctx, redis.FunctionListQuery{}).Result()
		return err == nil && len(libs) == 1
	})
	s.back.FunctionFlush(ctx) // and lost there
	s.h.Pin(fallback.Local)
	if v, err := s.rdb.FCall(ctx, "onef", nil, "1").Text(); v != "1" || err != nil {
		t.Errorf("FCALL on local: %q, %v", v, err)
	}
	if v, err := s.rdb.FCallRO(ctx, "onef", nil, "2").Text(); v != "2" || err != nil {
		t.Errorf("FCALL_RO on local: %q, %v", v, err)
	}
	if err := s.rdb.FunctionLoad(ctx, library("two")).Err(); err != nil {
		t.Fatal(err)
	}
	s.h.Pin(fallback.Primary)
	if v, err := s.rdb.FCall(ctx, "twof", nil, "3").Text(); v != "3" || err != nil {
		t.Errorf("FCALL on the primary, loaded while local served: %q, %v", v, err)
	}
	if err := s.rdb.FunctionDelete(ctx, "one").Err(); err != nil {
		t.Fatal(err)
	}
	s.h.Pin(fallback.Local)
	if err := s.rdb.FCall(ctx, "onef", nil, "4").Err(); !redis.HasErrorPrefix(err, "Function not found") {
		t.Errorf("FCALL of a library that was deleted: %v", err)
	}
}
