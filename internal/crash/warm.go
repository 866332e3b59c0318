package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/crash/check"
	"github.com/redis-fallback/fallback/internal/crash/history"
	"github.com/redis/go-redis/v9"
)

// Where the mirror keeps what it knows, in the database of the record.
const (
	mirrorMeta      = prefix + "mirror"
	mirrorProcesses = prefix + "mirror:processes"
	partialKeys     = prefix + "partial"
)

// mark writes on local that it is local, once a mirror has begun there: one may empty what it knows
// nothing of, and none begins beside keys that are somebody else's.
func (t *trial) mark() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	record := t.record()
	defer record.Close()
	for {
		meta, err := record.HMGet(ctx, mirrorMeta, "run", "empty").Result()
		if err == nil && len(meta) == 2 && meta[0] != nil && meta[1] == nil {
			break
		}
		select {
		case <-ctx.Done():
			return errors.Join(errors.New("no mirror begins"), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	local := redis.NewClient(t.local.Options())
	defer local.Close()
	return local.Set(ctx, history.ServerKey, "local", 0).Err()
}

// cleaned waits until the mirror is quiet: nothing is queued, and the keys of dead processes and those
// that local made in part are deleted.
func (t *trial) cleaned(ctx context.Context, record *redis.Client) error {
	if t.alone {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, t.settle)
	defer cancel()
	for {
		waiting, err := t.unclean(ctx, record)
		if err != nil || waiting == "" {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %v the mirror still has %s", t.settle, waiting)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// unclean says what the mirror still has to do, or "".
func (t *trial) unclean(ctx context.Context, record *redis.Client) (string, error) {
	known, err := record.HLen(ctx, mirrorProcesses).Result()
	if err != nil {
		return "", err
	}
	partial, err := record.SCard(ctx, partialKeys).Result()
	if err != nil {
		return "", err
	}
	switch {
	case int(known) > len(t.seats):
		return fmt.Sprintf("%d processes for %d that live", known, len(t.seats)), nil
	case partial > 0:
		return fmt.Sprintf("%d keys that local made in part", partial), nil
	}
	for _, s := range t.seats {
		st, err := s.process().status(answerTime)
		if err != nil {
			return "", err
		}
		if st.Mirror.Queued > 0 {
			return fmt.Sprintf("%d operations queued", st.Mirror.Queued), nil
		}
	}
	return "", nil
}

// compare holds local against the primary, when nobody writes any more.
func (t *trial) compare(ctx context.Context, primary *redis.Client, out *outcome) error {
	if t.alone {
		return nil
	}
	local := redis.NewClient(t.local.Options())
	defer local.Close()
	w, err := check.Mirrored(ctx, primary, local, slack(t.faults, t.stood))
	if err == nil {
		out.warm = *w
	}
	return err
}

// add adds the counts of one process.
func add(sum *fallback.MirrorStatus, m fallback.MirrorStatus) {
	sum.Mirrored += m.Mirrored
	sum.Unsure += m.Unsure
	sum.Hydrated += m.Hydrated
	sum.Cleaned += m.Cleaned
	sum.Emptied += m.Emptied
}
