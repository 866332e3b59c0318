package fallback_test

import (
	"crypto/sha1" //nolint:gosec // what Redis names scripts by
	"encoding/hex"

	"github.com/redis/go-redis/v9"
)

const (
	script     = "return {KEYS[1], ARGV[1], 7, false, {ok='fine'}, redis.call('INCR', KEYS[1])}"
	readScript = "return redis.call('LRANGE', KEYS[1], 0, -1)"
	library    = "#!lua name=lib\nredis.register_function{function_name=\"f\",callback=function(k,a) return {k[1],a[1],1} end,flags={\"no-writes\"}}"
)

// libraryDump is what FUNCTION DUMP of library gives.
const libraryDump = "\xf5\xc3@r@}\x1f#!lua name=lib\nredis.register_fu\x06nction{\xc0\b\x00_`)\x0c\"f\",callback=\xc0\x1a\x13(k,a) return {k[1],a@\x04\x1a1} end,flags={\"no-writes\"}}\n\x00\x83\x92z(q\x85\x05\x93"

// placeholders stand for words with spaces in the lines of setup.
var placeholders = map[string]string{"$script": script, "$read": readScript, "$library": library, "$none": ""}

func sha(s string) string {
	sum := sha1.Sum([]byte(s)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

const loadLibrary = "FUNCTION LOAD REPLACE $library"

var scriptCalls = map[string]sample{
	"Eval":                with(script, []string{"n"}, "arg", 2),
	"Eval fails":          with("redis.call('SET', KEYS[1], 1) return redis.call('LPUSH', KEYS[1], 1)", []string{"t"}),
	"Eval an error reply": with("return redis.error_reply('MINE what I say')", []string{}),
	"Eval no map":         with("redis.setresp(3) return redis.call('HGETALL', KEYS[1])", []string{"h"}),
	"Eval nil":            with("return false", []string{}),
	"Eval broken":         with("return +", []string{}),
	"EvalRO":              with(readScript, []string{"l"}),
	"EvalRO that writes":  with(script, []string{"n"}, "arg"),
	"EvalSha":             with(sha(script), []string{"n"}, "arg").after("SCRIPT LOAD $script"),
	"EvalSha not loaded":  with(sha("return 0"), []string{}),
	"EvalShaRO":           with(sha(readScript), []string{"l"}).after("SCRIPT LOAD $read"),
	"FCall":               with("f", []string{"k"}, "arg").after(loadLibrary),
	"FCall missing":       with("missing", []string{"k"}, "arg"),
	"FCallRO":             with("f", []string{"k"}, "arg").after(loadLibrary),
	"FCallRo":             with("f", []string{"k"}, "arg").after(loadLibrary),
	"FunctionDelete":      with("lib").after(loadLibrary),
	"FunctionDump":        with().after("FUNCTION FLUSH", loadLibrary),
	"FunctionFlush":       with().after(loadLibrary),
	"FunctionFlushAsync":  with().after(loadLibrary),
	"FunctionList":        with(redis.FunctionListQuery{LibraryNamePattern: "l*", WithCode: true}).after("FUNCTION FLUSH", loadLibrary),
	"FunctionLoad":        with(library).after("FUNCTION FLUSH").goingOn(),
	"FunctionLoad twice":  with(library).after(loadLibrary).goingOn(),
	"FunctionLoadReplace": with(library).after(loadLibrary).goingOn(),
	"FunctionRestore":     with(libraryDump).after("FUNCTION FLUSH"),
	"FunctionStats":       with().after("FUNCTION FLUSH", loadLibrary),
	"ScriptExists":        with(sha(script), sha("return 0")).after("SCRIPT LOAD $script"),
	"ScriptLoad":          with(readScript),
}
