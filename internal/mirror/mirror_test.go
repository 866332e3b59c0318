package mirror_test

import (
	"testing"
)

// Who shuts down does not wait for a local that is gone.
func TestCloseWithoutLocal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror()
	r.local.Kill()
	write(m, set("k", "1"))
	if err := m.Close(r.ctx); err == nil {
		t.Error("what was not delivered is")
	}
}

func TestWhatThePrimaryAcknowledgedIsOnLocal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror()
	before := m.Stats()
	write(m, set("a", "1"))
	write(m, set("n", "41"))
	write(m, incr("n", 42))
	write(m, hset("h", "f", "v")) // not known to be whole
	write(m, set("gone", "1"))
	write(m, del("gone"))
	r.flush(m)
	r.wants("a", "1", "n", "42", "gone", "")
	if r.home.Exists(r.ctx, "h").Val() != 0 || r.cold["|h"] != 1 {
		t.Error("a hash that local did not hold was begun there, or nobody was told")
	}
	write(m, del("h"))
	write(m, hset("h", "f", "v"))
	r.flush(m)
	if got := r.home.HGetAll(r.ctx, "h").Val(); len(got) != 1 {
		t.Errorf("a hash that did not exist before is %v", got)
	}
	s := m.Stats()
	if s.Deleted != before.Deleted || s.Failed != 0 || s.Cold != before.Cold+1 || s.Dropped != 0 {
		t.Errorf("%+v", s)
	}
}
