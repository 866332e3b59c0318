package wire

import (
	"bytes"
	"strconv"
)

// parser counts the commands of a request that is written piece by piece, up to EXEC or DISCARD.
type parser struct {
	commands int64
	line     []byte // of a header that is not whole yet
	args     int64  // still to come of this command
	alone    bool   // the command has one argument
	body     int64  // bytes of the argument still to come, with its line end; 0 between arguments
	name     []byte // the argument, while it may be one of them
}

// feed takes the next piece, and reports that EXEC or DISCARD was in it.
func (r *parser) feed(p []byte) bool {
	for len(p) > 0 {
		if r.body > 0 {
			n := min(r.body, int64(len(p)))
			if r.alone && len(r.name) < 16 {
				r.name = append(r.name, p[:min(n, 16)]...)
			}
			p = p[n:]
			if r.body -= n; r.body > 0 {
				return false
			}
			if r.args--; r.args == 0 {
				r.commands++
				if r.alone && (bytes.EqualFold(r.name, []byte("exec\r\n")) || bytes.EqualFold(r.name, []byte("discard\r\n"))) {
					return true
				}
			}
			continue
		}
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			r.line = append(r.line, p...)
			return false
		}
		r.line = append(r.line, p[:end+1]...)
		p = p[end+1:]
		n, _ := length(r.line)
		switch {
		case len(r.line) > 0 && r.line[0] == '*':
			r.args, r.alone, r.name = n, n == 1, r.name[:0]
		case len(r.line) > 0 && r.line[0] == '$':
			r.body = n + 2
		}
		r.line = r.line[:0]
	}
	return false
}

// length returns the number in a line such as "*3\r\n" or "$-1\r\n".
func length(line []byte) (int64, bool) {
	line = bytes.TrimRight(line, "\r\n")
	if len(line) < 2 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(line[1:]), 10, 64)
	return n, err == nil
}

// replyLen returns how many bytes of b the first reply in it takes, or 0 if it is not whole.
func replyLen(b []byte) int {
	pos := 0
	for left := int64(1); left > 0; left-- {
		end := bytes.IndexByte(b[pos:], '\n')
		if end < 0 {
			return 0
		}
		line := b[pos : pos+end+1]
		pos += end + 1
		n, ok := length(line)
		switch line[0] {
		case '$', '=', '!':
			if ok && n >= 0 {
				if n > int64(len(b)) {
					return 0
				}
				pos += int(n) + 2
			}
		case '*', '~', '>':
			if ok && n > 0 {
				left += n
			}
		case '%':
			if ok && n > 0 {
				left += 2 * n
			}
		case '|': // an attribute stands before the reply it belongs to
			if ok && n > 0 {
				left += 2 * n
			}
			left++
		}
		if pos > len(b) {
			return 0
		}
	}
	return pos
}
