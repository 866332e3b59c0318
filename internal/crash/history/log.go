package history

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Log is the file of one process. It is safe for concurrent use: each call is one write to the end of
// the file, past every buffer of the process, so that a line that was written outlives a kill -9.
type Log struct{ f *os.File }

// Create makes a log. The file must not exist.
func Create(path string) (*Log, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &Log{f}, nil
}

// Begin writes down what is about to be sent.
func (l *Log) Begin(ops []*Op) error {
	var b bytes.Buffer
	for _, o := range ops {
		fmt.Fprintf(&b, "+\t%s\t%d\t%d\t%c\t%s\t%s\t%s\t%d\t%d\n", o.By, o.Seq, o.Group, o.Batch, o.Kind, o.Key, o.Value, o.N, o.Begin)
	}
	_, err := l.f.Write(b.Bytes())
	return err
}

// End writes down what became of it.
func (l *Log) End(ops []*Op) error {
	var b bytes.Buffer
	for _, o := range ops {
		fmt.Fprintf(&b, "=\t%s\t%d\t%c\t%d\t%c\t%d\t%s\n", o.By, o.Seq, o.State, o.End, o.Server, o.Epoch, strconv.Quote(o.Reply))
	}
	_, err := l.f.Write(b.Bytes())
	return err
}

// Close closes the file.
func (l *Log) Close() error { return l.f.Close() }

// Read returns the operations of a log. A last line that is not whole belongs to a process that was
// killed while it wrote it, before it went on.
func Read(path string) ([]*Op, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	type id struct {
		by  string
		seq int
	}
	byID := map[id]*Op{}
	var ops []*Op
	for n := 1; len(data) > 0; n++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			break
		}
		data = rest
		f := strings.Split(string(line), "\t")
		p := numbers{}
		switch {
		case len(f) == 10 && f[0] == "+":
			o := &Op{
				By: f[1], Seq: int(p.parse(f[2])), Group: int(p.parse(f[3])), Batch: Batch(f[4][0]), Kind: Kind(f[5]), Key: f[6],
				Value: f[7], N: p.parse(f[8]), Begin: p.parse(f[9]), State: Open, Server: Either, Epoch: -1,
			}
			byID[id{o.By, o.Seq}] = o
			ops = append(ops, o)
		case len(f) == 8 && f[0] == "=":
			o := byID[id{f[1], int(p.parse(f[2]))}]
			if o == nil {
				return nil, fmt.Errorf("%s:%d: the end of an operation that did not begin", path, n)
			}
			o.State, o.End, o.Server, o.Epoch = State(f[3][0]), p.parse(f[4]), Server(f[5][0]), p.parse(f[6])
			if o.Reply, err = strconv.Unquote(f[7]); err != nil {
				p.err = err
			}
		default:
			return nil, fmt.Errorf("%s:%d: %d fields", path, n, len(f))
		}
		if p.err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, p.err)
		}
	}
	return ops, nil
}

// numbers keeps the first error of many.
type numbers struct{ err error }

func (p *numbers) parse(s string) int64 {
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil && p.err == nil {
		p.err = err
	}
	return v
}
