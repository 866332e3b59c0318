package command

// streamRead is where the parts of XREAD and XREADGROUP stand.
type streamRead struct {
	group, timeout int // 0 if there is none
	first, last    int // of the keys
	noAck, claims  bool
}

func readStream(args []any) (r streamRead, ok bool) {
	for i := 1; i < len(args); i++ {
		o := textOf(args[i])
		switch {
		case foldEqual(o, "count"):
			i++
		case foldEqual(o, "block"):
			i++
			r.timeout = i
		case foldEqual(o, "group"):
			r.group = i + 1
			i += 2
		case foldEqual(o, "noack"):
			r.noAck = true
		case foldEqual(o, "claim"):
			r.claims = true
			i++
		case foldEqual(o, "streams"):
			n := len(args) - i - 1
			r.first, r.last = i+1, i+n/2
			return r, n > 0 && n%2 == 0
		default:
			return r, false
		}
	}
	return r, false
}

// judgeReadGroup does not know CLAIM, whose reply has more than the entries.
func judgeReadGroup(n Note, args []any) (Note, bool) {
	r, ok := readStream(args)
	n.Key, n.Last, n.Step = int16(r.first), int16(r.last), 1
	n.At, n.Timeout = int16(r.group), int16(r.timeout)
	if r.noAck {
		n.Opts |= NoAck
	}
	return n, ok && r.group > 0 && !r.claims
}

// judgeAdd finds the id: the first argument that is no option.
func judgeAdd(n Note, args []any) (Note, bool) {
	for i := 2; i < len(args); i++ {
		o, ok := text(args[i])
		switch {
		case !ok:
			_, isBytes := args[i].([]byte) // an option, perhaps
			n.At = int16(i)
			return n, !isBytes
		case foldEqual(o, "nomkstream"), foldEqual(o, "keepref"), foldEqual(o, "delref"), foldEqual(o, "acked"):
		case foldEqual(o, "maxlen"), foldEqual(o, "minid"):
			i++
			if mark := textOf(arg(args, i)); mark == "=" || mark == "~" {
				i++
			}
		case foldEqual(o, "limit"):
			i++
		default:
			n.At = int16(i)
			return n, o == "*" || isDigit(o)
		}
	}
	return n, false
}

// judgeClaim reads XCLAIM key group consumer min-idle-time id… and the options after them.
func judgeClaim(n Note, args []any) (Note, bool) {
	for i := 5; i < len(args); i++ {
		o, ok := text(args[i])
		switch {
		case !ok, isDigit(o), foldEqual(o, "force"):
		case foldEqual(o, "idle"), foldEqual(o, "time"), foldEqual(o, "retrycount"):
			i++
		case foldEqual(o, "lastid"):
			i++
			n.Option = int16(i)
		case foldEqual(o, "justid"):
			n.Opts |= JustID
		default:
			return n, false
		}
	}
	return n, int(n.Option) < len(args)
}

// judgeAutoClaim reads XAUTOCLAIM key group consumer min-idle-time start [COUNT n] [JUSTID].
func judgeAutoClaim(n Note, args []any) (Note, bool) {
	for i := 6; i < len(args); i++ {
		o := textOf(args[i])
		switch {
		case foldEqual(o, "count"):
			i++
		case foldEqual(o, "justid"):
			n.Opts |= JustID
		default:
			return n, false
		}
	}
	return n, true
}

func isDigit(s string) bool { return s != "" && '0' <= s[0] && s[0] <= '9' }
