package reread

import (
	"bytes"
	"fmt"
	"strconv"
)

// maxDepth bounds how deep replies are nested. No command of Redis comes near it; a script can, and
// the readers of go-redis call themselves once a level.
const maxDepth = 1000

// Split returns the elements of an array reply, each the bytes of one whole reply within raw. It knows
// the types of RESP2 and RESP3. Anything else, a push among it, is ErrReply, and so is nesting beyond
// 1000 levels.
func Split(raw []byte) ([][]byte, error) {
	n, body, err := elements(raw)
	if err != nil {
		return nil, err
	}
	replies := make([][]byte, 0, n)
	for range n {
		size, err := replyLen(body)
		if err != nil {
			return nil, err
		}
		replies, body = append(replies, body[:size:size]), body[size:]
	}
	if len(body) > 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", ErrReply, len(body))
	}
	return replies, nil
}

// elements returns how many elements an array reply has, and the bytes after its header. The count is
// no greater than these bytes allow, so that memory may be taken for it.
func elements(raw []byte) (int, []byte, error) {
	line, body, err := header(raw)
	if err != nil {
		return 0, nil, err
	}
	if line[0] != '*' {
		return 0, nil, fmt.Errorf("%w: a reply of type %q and no array", ErrReply, line[0])
	}
	n, err := count(line)
	if err != nil {
		return 0, nil, err
	}
	if n < 0 || n > len(body)/shortest {
		return 0, nil, fmt.Errorf("%w: an array of %d in %d bytes", ErrReply, n, len(body))
	}
	return n, body, nil
}

// shortest is the length of the shortest reply, "_\r\n".
const shortest = 3

// replyLen returns how many bytes of b its first reply takes.
func replyLen(b []byte) (int, error) {
	rest, err := skip(b, 0)
	return len(b) - len(rest), err
}

// skip returns what follows the first reply of b.
func skip(b []byte, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: nested too deep", ErrReply)
	}
	line, rest, err := header(b)
	if err != nil {
		return nil, err
	}
	parts := 1
	switch line[0] {
	case '+', '-', ':', ',', '#', '(', '_':
		return rest, nil
	case '$', '=', '!':
		n, err := count(line)
		switch {
		case err != nil || n < 0:
			return rest, err
		case n > len(rest)-2 || rest[n] != '\r' || rest[n+1] != '\n':
			return nil, fmt.Errorf("%w: a string of %d bytes in %d", ErrReply, n, len(rest))
		}
		return rest[n+2:], nil
	case '*', '~':
	case '%', '|':
		parts = 2
	default:
		return nil, fmt.Errorf("%w: a reply of type %q", ErrReply, line[0])
	}
	n, err := count(line)
	if err != nil {
		return nil, err
	}
	if n > len(rest)/shortest/parts {
		return nil, fmt.Errorf("%w: %d elements in %d bytes", ErrReply, n, len(rest))
	}
	for range n * parts {
		if rest, err = skip(rest, depth+1); err != nil {
			return nil, err
		}
	}
	if line[0] == '|' { // attributes stand before the reply that they belong to
		return skip(rest, depth+1)
	}
	return rest, nil
}

// header returns the first line of b without its end, at least one byte, and what follows it.
func header(b []byte) (line, rest []byte, err error) {
	end := bytes.IndexByte(b, '\n')
	if end < 2 || b[end-1] != '\r' {
		return nil, nil, fmt.Errorf("%w: a line without its end", ErrReply)
	}
	return b[:end-1], b[end+1:], nil
}

// count returns the number in a line such as "*3", and -1 for what is nil.
func count(line []byte) (int, error) {
	n, err := strconv.Atoi(string(line[1:]))
	if err != nil || n < -1 {
		return 0, fmt.Errorf("%w: a length that is no number", ErrReply)
	}
	return n, nil
}
