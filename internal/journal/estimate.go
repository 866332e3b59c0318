package journal

import "context"

// Estimate is what a drain will deliver and cost.
type Estimate struct {
	Entries  int64 // that carry writes
	Writes   int64 // commands in these
	Bytes    int64 // that are sent
	Commands int64 // for the primary, all in all
	Batches  int64 // transactions
}

// batchCost is what a transaction costs beside its commands: WATCH, MGET, MULTI, SET and EXEC.
const batchCost = 5

// Estimate reads the journal and says what its delivery will cost, without a command to the primary and
// without a mark. What is written meanwhile, or has been delivered and not been settled, makes it wrong.
func (d *Drain) Estimate(ctx context.Context) (Estimate, error) {
	w := d.begin(Options{})
	defer w.end()
	w.estimates = true
	var sum Estimate
	if err := w.look(ctx); err != nil || w.record.Serving == Primary {
		return sum, err
	}
	if err := w.read.start(ctx, w.record, w.record.Floor); err != nil {
		return sum, err
	}
	began := uint64(w.now)
	for {
		p, err := w.parcel(ctx)
		if err != nil {
			return sum, err
		}
		f, n := p.f, p.n
		if f.entries == 0 {
			break
		}
		sum.Entries += n.Entries
		if n.Entries > 0 {
			commands := f.finish()
			for i := range commands {
				sum.Bytes += int64(size(commands[i].args))
			}
			sum.Writes += n.Writes
			sum.Commands += int64(len(commands)) + batchCost
			sum.Batches++
		}
		w.read.drop(f.entries, f.last)
		if f.last.Ms > began { // writers that are quicker than this would be followed for ever
			break
		}
	}
	if sum.Batches > 0 && w.record.Floor == (ID{}) {
		sum.Commands += batchCost // for the first position
	}
	return sum, nil
}
