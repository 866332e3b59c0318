package fallback_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// shape is how a command is sent.
type shape string

const (
	single      shape = "single"
	pipeline    shape = "pipeline"
	transaction shape = "transaction"
)

// sendable returns the shapes that a call is made in.
func (s *sample) sendable() []shape {
	if s.shapes != nil {
		return s.shapes
	}
	return []shape{single, pipeline, transaction}
}

// answer is what the caller of one cell gets: one outcome, or three and the error of Exec.
type answer struct {
	outcomes []outcome
	panicked string
	exec     error
	sent     bool // some methods see for themselves that their arguments are wrong
}

// of returns the outcome of the call itself.
func (a answer) of() outcome { return a.outcomes[len(a.outcomes)/2] }

func (a answer) String() string {
	var b strings.Builder
	for _, o := range a.outcomes {
		b.WriteString("\n\t\t" + o.text)
	}
	return b.String() + "\n\t\tExec: " + describe(a.exec) + " " + a.panicked
}

// send makes the call in one shape. In a batch it stands between two neighbours.
func (s sample) send(c redis.Cmdable, as shape) (a answer) {
	if s.batch != nil {
		cmds, err := s.batch(c)
		for _, cmd := range cmds {
			a.outcomes = append(a.outcomes, outcomeOf(cmd, s.norm))
		}
		a.exec, a.sent = err, len(cmds) > 0
		return a
	}
	if as == single {
		cmd, panicked := s.issue(c)
		return answer{outcomes: []outcome{outcomeOf(cmd, s.norm)}, panicked: panicked}
	}
	batch := c.Pipelined
	if as == transaction {
		batch = c.TxPipelined
	}
	var before, cmd, after redis.Cmder
	cmds, err := batch(ctx, func(p redis.Pipeliner) error {
		before = p.Set(ctx, "n1", "v", 0)
		cmd, a.panicked = s.issue(p)
		after = p.Incr(ctx, "n2")
		return nil
	})
	a.exec = err
	a.outcomes = []outcome{outcomeOf(before, nil), outcomeOf(cmd, s.norm), outcomeOf(after, nil)}
	a.sent = len(cmds) == 3
	if cmds[0] != before || cmds[len(cmds)-1] != after || a.sent && !strings.HasPrefix(fmt.Sprintf("%T", cmds[1]), "*redis.") {
		a.panicked += fmt.Sprintf("Exec returned other commands than it was given: %v", cmds)
	}
	return a
}

// TestConformance calls every method of redis.Cmdable in every mode, alone, in a pipeline and in a
// transaction, with RESP2 and RESP3. The caller must get what a bare client gives: value, Go type and
// error; and both servers must hold afterwards what they would then: what was called ran once, on the
// right one.
func TestConformance(t *testing.T) {
	t.Parallel()
	all, wrong := samples()
	for _, what := range wrong {
		t.Error(what)
	}
	var count tally
	t.Run("protocols", func(t *testing.T) {
		for _, protocol := range []int{2, 3} {
			t.Run(fmt.Sprintf("RESP%d", protocol), func(t *testing.T) {
				t.Parallel()
				newRun(t, protocol, &count).all(t, all)
			})
		}
	})
	count.report(t, all)
}
