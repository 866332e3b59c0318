package mirror

import (
	"context"
	"slices"
	"time"
)

// Sync copies what the primary holds to local: each key unless a mirrored write is newer, and what only
// local holds is deleted there. It goes on where the last one with the same options stopped. Whatever its
// error, what is reported was done: ErrRefused, ErrBudget, ErrFenced, ErrMemory, ErrLocalRefuses, that of
// ctx, or of one of the servers.
func (c *Copier) Sync(ctx context.Context, o SyncOptions) (SyncReport, error) {
	s := c.newSyncing(o)
	defer s.r.close()
	err := s.run(ctx)
	s.tell()
	return s.report, err
}

// Cost says what a Sync would cost, in two commands: how many keys there are, and how far an earlier one
// has come.
func (c *Copier) Cost(ctx context.Context, o SyncOptions) (SyncProgress, error) {
	s := c.newSyncing(o)
	defer s.r.close()
	all, _, err := s.size(ctx)
	if err == nil {
		err = s.held(ctx, all)
	}
	if err != nil {
		return SyncProgress{}, err
	}
	if _, err := s.load(ctx); err != nil {
		return SyncProgress{}, err
	}
	s.o.Progress = nil
	s.tell()
	return s.report.SyncProgress, nil
}

// syncing is one Sync under way.
type syncing struct {
	c *Copier
	o SyncOptions
	r *reader

	report  SyncReport
	id      string // of the run
	db      string // the database that is being read
	cursor  uint64 // where
	scanned bool   // all of them have been read
	began   time.Time
	before  int64 // commands that earlier processes have sent
	done    int64 // keys read by them

	pace   pacer
	looked time.Time       // at local's memory
	dumps  bool            // local has taken a payload
	out    map[string]bool // members of the unsure set that are not to be read again
}

func (c *Copier) newSyncing(o SyncOptions) *syncing {
	s := &syncing{
		c: c, o: o, r: newReader(c.Primary, c.Refused), began: time.Now(), pace: pacer{rate: o.Rate},
		out: map[string]bool{},
	}
	s.r.budget = o.Budget
	switch {
	case o.MaxBytes == 0:
		s.r.bytes, s.r.most = defaultBytes, defaultElements
	case o.MaxBytes > 0:
		s.r.bytes = o.MaxBytes
	}
	return s
}

func (s *syncing) run(ctx context.Context) error {
	all, unmapped, err := s.size(ctx)
	if err != nil {
		return err
	}
	if err := s.c.room(ctx); err != nil {
		return err
	}
	// What local must be rid of first is gone after that, and what it was told before this counts as old.
	if err := s.adopt(ctx, all); err != nil {
		return err
	}
	if err := s.begin(ctx); err != nil {
		return err
	}
	s.tell()
	for _, db := range all {
		if s.scanned || db.name < s.db {
			continue // by an earlier one
		}
		if db.name != s.db {
			s.db, s.cursor = db.name, 0
		}
		if err := s.scan(ctx); err != nil {
			return err
		}
	}
	s.scanned = true
	if err := s.save(ctx); err != nil {
		return err
	}
	for _, db := range all {
		if err := s.sweep(ctx, db.name); err != nil {
			return err
		}
	}
	if err := s.retry(ctx); err != nil {
		return err
	}
	return s.end(ctx, s.o.Match == "" && unmapped == 0)
}

// size asks how many keys there are.
func (s *syncing) size(ctx context.Context) (all []database, unmapped int64, err error) {
	all, unmapped, err = s.c.databases(ctx, s.r)
	for _, db := range all {
		s.report.Keys += db.keys
	}
	return all, unmapped, err
}

// tell tells how far it is.
func (s *syncing) tell() {
	p := &s.report.SyncProgress
	spent := s.r.spent.Load()
	p.Commands, p.Elapsed = s.before+spent, time.Since(s.began)
	open := max(p.Keys-p.Read, 0)
	if s.scanned {
		open = 0
	}
	p.Cost = costOf(open)
	if mine := p.Read - s.done; mine > 0 {
		p.Left = time.Duration(float64(p.Elapsed) / float64(mine) * float64(open))
	}
	if s.o.Progress != nil {
		s.o.Progress(*p)
	}
}

// costOf is about how many commands so many keys cost: two for each, and those that list them and look
// for what only local has.
func costOf(keys int64) int64 { return 2*keys + keys/scanCount + keys/existsKeys }

// take settles a batch, and notes how far that is.
func (s *syncing) take(ctx context.Context, l *loading) error {
	if time.Since(s.looked) > time.Second {
		s.looked = time.Now()
		if err := s.c.room(ctx); err != nil {
			return err
		}
	}
	if err := s.settleWhole(ctx, l); err != nil {
		return err
	}
	s.report.Read += int64(l.keys)
	if l.all {
		s.cursor = l.next
		if err := s.save(ctx); err != nil {
			return err
		}
	}
	s.tell()
	return nil
}

// settleWhole settles a batch, and first reads it again if everything in it counts as written meanwhile:
// local has forgotten all it knew, and a call that was lost before that may not have ended. They would be
// too many to be noted one by one.
func (s *syncing) settleWhole(ctx context.Context, l *loading) error {
	all, loaded := l.found, l.loaded
	for wait := 250 * time.Millisecond; wait <= longestWait && len(all) >= readKeys/10; wait *= 2 {
		if slices.ContainsFunc(loaded, func(l Loaded) bool { return l != Newer }) {
			break
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		keys := make([]string, len(all))
		for i := range all {
			keys[i] = all[i].Key
		}
		var err error
		if all, err = s.readAgain(ctx, all[0].DB, keys, nil); err != nil {
			return err
		}
		if loaded, err = s.c.load(ctx, all); err != nil {
			return err
		}
	}
	return s.settle(ctx, all, loaded)
}

// longestWait is the last of the waits for a call that was lost, half a minute in all.
const longestWait = 16 * time.Second

// put loads keys.
func (s *syncing) put(ctx context.Context, all []found) error {
	loaded, err := s.c.load(ctx, all)
	if err != nil {
		return err
	}
	return s.settle(ctx, all, loaded)
}

// settle counts what became of keys, and notes in the unsure set which of them local does not have.
func (s *syncing) settle(ctx context.Context, all []found, loaded []Loaded) error {
	var missed []string
	var again []int
	p := &s.report.SyncProgress
	for i := range all {
		f := &all[i]
		switch {
		case f.left == leftLarge:
			p.Large++
			s.out[member(f.DB, f.Key)] = true
		case f.left == leftUnknown:
			p.Unknown++
			s.out[member(f.DB, f.Key)] = true
		case f.left == leftChanged, loaded[i] == Newer:
			p.Newer++
		case loaded[i] == Refused && f.Dump != "":
			again = append(again, i)
			continue
		case loaded[i] == Refused:
			p.Refused++
			s.out[member(f.DB, f.Key)] = true
		case f.Absent:
			p.Gone++
			continue
		default:
			p.Copied++
			s.dumps = s.dumps || f.Dump != ""
			continue
		}
		missed = append(missed, f.DB, f.Key)
	}
	if err := s.miss(ctx, missed); err != nil {
		return err
	}
	return s.putByType(ctx, all, again)
}

// putByType loads keys whose payload local refuses: it is of a later version of Redis, as a rule.
func (s *syncing) putByType(ctx context.Context, all []found, which []int) error {
	if len(which) == 0 {
		return nil
	}
	if err := s.c.room(ctx); err != nil {
		return err // it refuses for that
	}
	keys := make([]string, len(which))
	for i, at := range which {
		keys[i] = all[at].Key
	}
	before := s.report.SyncProgress
	parts, err := s.r.parts(ctx, all[which[0]].DB, keys)
	if err == nil {
		err = s.put(ctx, parts)
	}
	if err != nil {
		return err
	}
	switch p := &s.report.SyncProgress; {
	case p.Copied > before.Copied && !s.dumps:
		s.r.byType.Store(true)
	case p.Copied == 0 && p.Refused > before.Refused && p.Refused >= mostRefused:
		return ErrLocalRefuses
	}
	return nil
}

// mostRefused is how many keys local may refuse before it has taken the first.
const mostRefused = 100

func member(db, key string) string { return db + "|" + key }
