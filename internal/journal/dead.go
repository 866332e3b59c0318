package journal

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/resent.lua
var resentLua string

var resentScript = redis.NewScript(resentLua)

// ErrNoLetter is about a dead letter that is not there, or not any more.
var ErrNoLetter = errors.New("redis fallback: there is no such dead letter")

// Letters returns the dead letters, in the order of the journal, n at most; 0 is all.
func (s *Store) Letters(ctx context.Context, n int) ([]Letter, error) {
	var all []Letter
	var cursor uint64
	seen := map[string]bool{}
	for {
		page, next, err := s.rdb.HScan(ctx, s.dead(), cursor, "", 500).Result()
		if err != nil {
			return nil, err
		}
		for i := 0; i+1 < len(page); i += 2 {
			if seen[page[i]] { // HSCAN may return a field twice
				continue
			}
			seen[page[i]] = true
			l, err := parseLetter(page[i], page[i+1])
			if err != nil {
				l = Letter{ID: page[i], Kind: LetterError, Args: []string{""}, Error: err.Error()}
			}
			all = append(all, l)
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	slices.SortFunc(all, func(a, b Letter) int {
		if c := a.Entry.Compare(b.Entry); c != 0 {
			return c
		}
		if a.Index != b.Index {
			return a.Index - b.Index
		}
		return strings.Compare(a.ID, b.ID)
	})
	if n > 0 && len(all) > n {
		all = all[:n]
	}
	return all, nil
}

// Drop takes a dead letter away for good. It reports ErrNoLetter where there is none.
func (s *Store) Drop(ctx context.Context, id string) error {
	if err := s.rdb.LRem(ctx, s.redo(), 0, id).Err(); err != nil {
		return err
	}
	n, err := s.rdb.HDel(ctx, s.dead(), id).Result()
	if err == nil && n == 0 {
		return fmt.Errorf("%w: %s", ErrNoLetter, id)
	}
	return err
}

// letters returns those of the ids that are there.
func (s *Store) letters(ctx context.Context, ids []string) ([]Letter, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	texts, err := s.rdb.HMGet(ctx, s.dead(), ids...).Result()
	if err != nil {
		return nil, err
	}
	var all []Letter
	for i, text := range texts {
		if text, ok := text.(string); ok {
			l, err := parseLetter(ids[i], text)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errStop, err)
			}
			all = append(all, l)
		}
	}
	return all, nil
}

// resendAtOnce is how many letters one transaction sends again.
const resendAtOnce = 200

// Retry sends a dead letter to the primary once more, now, whatever was written to its keys since, and
// takes it away if the primary takes it; else the letter has the new error. Of one that is in doubt
// nobody knows whether it has run already. It reports ErrNoLetter where there is none, which is also
// what a second call finds after a first one whose reply was lost.
func (d *Drain) Retry(ctx context.Context, id string) error {
	w := d.begin(Options{})
	defer w.end()
	for {
		var failed error
		again, err := w.careful(ctx, func() (bool, error) {
			pos, finger, err := w.approach(ctx)
			if err != nil {
				return false, err
			}
			if mended, err := w.mend(ctx, pos, finger); mended || err != nil {
				return true, err
			}
			if w.found == id { // it had run, and its reply was lost
				failed = w.foundErr
				return false, nil
			}
			all, err := d.Store.letters(ctx, []string{id})
			if err != nil {
				return false, err
			}
			if len(all) == 0 {
				return false, fmt.Errorf("%w: %w: %s", errStop, ErrNoLetter, id)
			}
			failed, err = w.send(ctx, position{id: pos.id, letter: all[0].mark()}, finger, all)
			return false, err
		})
		if err != nil || !again {
			return errors.Join(err, failed)
		}
	}
}

// resend sends the letters again that the primary has refused, before anything that comes after them.
func (w *work) resend(ctx context.Context, pos position, finger string) error {
	ids, err := w.drain.Store.rdb.LRange(ctx, w.drain.Store.redo(), 0, resendAtOnce-1).Result()
	if err != nil || len(ids) == 0 {
		return err
	}
	all, err := w.drain.Store.letters(ctx, ids)
	if err != nil {
		return err
	}
	if len(all) == 0 { // nothing is left of them
		return w.resent(ctx, position{letters: ids[len(ids)-1] + "#"})
	}
	if err := w.afford(int64(len(all)*2) + 6); err != nil {
		return err
	}
	var refusal error
	to := position{id: pos.id, letters: all[len(all)-1].mark()}
	if failed, err := w.send(ctx, to, finger, all); err != nil {
		return err
	} else if errors.Is(failed, ErrRefused) {
		refusal = failed
	}
	return refusal
}

// send sends letters in one transaction, which names them in the position: whoever reads that knows that
// they were sent.
func (w *work) send(ctx context.Context, to position, finger string, all []Letter) (failed, err error) {
	var commands []command
	var owner []int
	for i := range all {
		for _, c := range all[i].commands(w.now, w.drain.home()) {
			commands, owner = append(commands, c), append(owner, i)
		}
	}
	if err := w.link.selects(ctx, commands); err != nil {
		return nil, err
	}
	errs := make([]error, len(commands))
	sent := make([]command, 0, len(commands))
	var at []int
	for i := range commands {
		err := w.link.known[commands[i].db]
		if err == nil {
			err = w.bad[badOf(&commands[i])]
		}
		if err != nil {
			errs[i] = err
			continue
		}
		sent, at = append(sent, commands[i]), append(at, i)
	}
	replies, err := w.link.exec(ctx, &transaction{to: to, finger: finger, commands: sent, now: w.now})
	if err != nil {
		if queue, ok := errors.AsType[*queueError](err); ok {
			for i, reply := range queue.replies {
				w.bad[badOf(&sent[i])] = reply
			}
		}
		return nil, err
	}
	if err := w.adopted(ctx, finger); err != nil {
		return nil, err
	}
	for i, err := range replies {
		errs[at[i]] = err
	}
	dead := letters{at: time.UnixMilli(w.now)}
	for i := range all {
		for j, err := range errs {
			if owner[j] != i || err == nil {
				continue
			}
			l := all[i]
			l.Kind, l.Error, l.Doubt, l.Tries = LetterError, err.Error(), false, l.Tries+1
			if w.drain.refuses(err) {
				l.Kind = LetterRefused
				failed = fmt.Errorf("%w: inside EXEC: %w", ErrRefused, err)
			} else if !l.renumber(err) && failed == nil {
				failed = fmt.Errorf("redis fallback: the dead letter %s failed again: %w", l.ID, err)
			}
			dead.add(l)
			break
		}
	}
	w.progress.Resent += int64(len(all) - len(dead.all))
	_, err = w.forget(ctx, to, dead.all)
	return failed, err
}

// resent takes letters away of which the position says that they were sent. If they are there still,
// nobody has seen what came of them, and those that are found to have failed stay.
func (w *work) resent(ctx context.Context, p position) error {
	all, err := w.named(ctx, p)
	if err != nil || len(all) == 0 && p.letter != "" {
		return err
	}
	dead, err := w.confirmLetters(ctx, all)
	if err != nil {
		return err
	}
	n, err := w.forget(ctx, p, dead)
	w.progress.Unconfirmed += n
	if n > 0 && p.letter != "" {
		w.found, _, _ = strings.Cut(p.letter, "#")
		for i := range dead {
			w.foundErr = fmt.Errorf("redis fallback: the dead letter %s failed again: %s", dead[i].ID, dead[i].Error)
		}
	}
	return err
}

// named returns the letters that a position says were sent, if they are there as they were then.
func (w *work) named(ctx context.Context, p position) ([]Letter, error) {
	s := w.drain.Store
	mark, ids := p.letter, []string(nil)
	if p.letters != "" {
		mark = p.letters
	}
	id, tries, _ := strings.Cut(mark, "#")
	if p.letters != "" {
		list, err := s.rdb.LRange(ctx, s.redo(), 0, -1).Result()
		if err != nil {
			return nil, err
		}
		ids = list[:slices.Index(list, id)+1]
	} else {
		ids = []string{id}
	}
	all, err := s.letters(ctx, ids)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	if last := &all[len(all)-1]; tries != "" && (last.ID != id || last.mark() != mark) {
		return nil, nil
	}
	return all, nil
}

// forget takes the letters away that a position names, and keeps those that failed again.
func (w *work) forget(ctx context.Context, p position, failed []Letter) (int64, error) {
	mark, all := p.letter, ""
	if p.letters != "" {
		mark, all = p.letters, "1"
	}
	id, tries, _ := strings.Cut(mark, "#")
	args := []any{id, tries, all}
	for i := range failed {
		args = append(args, failed[i].ID, failed[i].text(), again(&failed[i]))
	}
	s := w.drain.Store
	return resentScript.Run(ctx, s.rdb, []string{s.dead(), s.redo()}, args...).Int64()
}
