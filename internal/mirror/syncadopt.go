package mirror

import (
	"context"
	"slices"
)

// adopt makes local ready to be copied to. A part of the keys is no reason to delete what else there is.
func (s *syncing) adopt(ctx context.Context, all []database) error {
	if s.o.Match != "" {
		return s.c.Mirror.Flush(ctx)
	}
	if err := s.held(ctx, all); err != nil {
		return err
	}
	var others []string
	for _, db := range all {
		if db.name != "" {
			others = append(others, db.name)
		}
	}
	return s.c.Mirror.Adopt(ctx, others...)
}

// held counts what local holds, in databases of the primary's, that no mirror put there.
func (s *syncing) held(ctx context.Context, all []database) error {
	pipe := s.c.Local.Pipeline()
	run, dbs := pipe.HExists(ctx, s.c.Mirror.MetaKey(), "run"), pipe.SMembers(ctx, s.c.key("mirror:dbs"))
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	for _, db := range all {
		if db.name == "" && run.Val() || slices.Contains(dbs.Val(), db.name) {
			continue
		}
		local := s.c.localIn(db.name)
		n, err := local.DBSize(ctx).Result()
		_ = local.Close()
		if err != nil {
			return err
		}
		s.report.Held += n
	}
	return nil
}
