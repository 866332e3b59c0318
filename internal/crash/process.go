package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/redis-fallback/fallback"
)

// process is a worker that runs.
type process struct {
	w       *worker
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan string
	exited  chan struct{}
	err     error // of its end

	mu     sync.Mutex // protects killed
	killed bool

	asking sync.Mutex // one question at a time; protects owed
	owed   int        // answers that are still to come
}

// mostOwed bounds the answers to questions that were given up: those of a process that is stopped.
const mostOwed = 64

// spawn starts this program again, as a worker. What it logs goes to a file beside its history.
func spawn(w *worker) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	errs, err := os.Create(w.log + ".err")
	if err != nil {
		return nil, err
	}
	defer errs.Close()
	p := &process{w: w, cmd: exec.Command(program, w.args()...), answers: make(chan string, mostOwed), exited: make(chan struct{})} //nolint:gosec,noctx // itself
	p.cmd.Stderr = errs
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			select {
			case p.answers <- s.Text():
			default: // nobody asks any more
			}
		}
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// kill ends it as kill -9 does.
func (p *process) kill() {
	p.mu.Lock()
	p.killed = true
	p.mu.Unlock()
	_ = p.cmd.Process.Kill()
	<-p.exited
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// died reports an end that nobody has asked for.
func (p *process) died() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.exited:
		if !p.killed {
			return fmt.Errorf("worker %d has ended by itself: %w; see %s.err", p.w.id, p.err, p.w.log)
		}
	default:
	}
	return nil
}

// ask sends a command and waits for the answer, for so long.
func (p *process) ask(command string, answer any, wait time.Duration) error {
	p.asking.Lock()
	defer p.asking.Unlock()
	if err := p.died(); err != nil {
		return err
	}
	if _, err := io.WriteString(p.in, command+"\n"); err != nil {
		return err
	}
	p.owed++
	limit := time.NewTimer(wait)
	defer limit.Stop()
	for {
		select {
		case line := <-p.answers:
			if p.owed--; p.owed > 0 {
				continue // of a question that was given up
			}
			return json.Unmarshal([]byte(line), answer)
		case <-p.exited:
			return errors.Join(p.died(), io.EOF)
		case <-limit.C:
			return fmt.Errorf("worker %d does not answer to %q", p.w.id, command)
		}
	}
}

// answerTime is how long a process may take to answer that nobody has stopped.
const answerTime = 2 * patience

func (p *process) status(wait time.Duration) (fallback.Status, error) {
	var s fallback.Status
	err := p.ask("status", &s, wait)
	return s, err
}

// drain has it deliver the journal, and returns how many entries that were.
func (p *process) drain(wait time.Duration) (int64, error) {
	var d drained
	if err := p.ask("drain", &d, wait); err != nil {
		return 0, err
	}
	if d.Error != "" {
		return d.Entries, errors.New(d.Error)
	}
	return d.Entries, nil
}

// end asks it to end as SIGTERM does, and waits.
func (p *process) end() error {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		return p.err
	case <-time.After(answerTime):
		p.kill()
		return fmt.Errorf("worker %d does not end on SIGTERM", p.w.id)
	}
}
