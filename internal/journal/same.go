package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Same returns the record, once the primary is known to be the one that it is about, as far as anybody
// can tell: by the fingerprint that a drain has left there, else by its address. It costs one command.
// Where local has no record yet, it makes one.
func (d *Drain) Same(ctx context.Context) (*Record, error) {
	v, err := d.Store.Open(ctx, d.Address)
	if err != nil {
		return nil, err
	}
	finger, err := d.Primary.Get(ctx, d.Store.FingerprintKey()).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		if d.refuses(err) {
			err = fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return nil, err
	}
	switch rec := v.Record; {
	case rec.Primary == "", finger == rec.Primary, finger == "" && d.Address == rec.Address:
		return rec, nil
	default:
		return nil, ErrOtherPrimary
	}
}
