package trial

import (
	"context"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/protocol"
)

// sizes holds items of growing size, until the memory held of each stops growing with its size: it separates a whole
// file, buffers below a threshold, and parts times their number. Sizes up to the protocol's Always are held in any
// case, since many clients change their ways with the size.
func (t *trial) sizes(ctx context.Context, ph *protocol.Phase) error {
	holds := ph.Holds()
	flat := false
	for i := range holds {
		h := &holds[i]
		flat = flat || i > 0 && h.Size > ph.Always && !t.grew(holds[i-1].Size)
		if flat {
			t.leaveOut(h, record.LeftOutFlat)
			continue
		}
		if h.Transfers.Of(t.m) > t.m { // a subject with one worker holds one, whatever the size
			h.Transfers, h.Then = "M", nil
		}
		if err := t.hold(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// The least growth from one size to the next: a tenth of the held memory, a fiftieth of the bytes that came on, and
// more than pages of the program come and go.
const (
	grewShare = 0.10
	grewBytes = 0.02
	grewLeast = 512 << 10
)

// grew says whether more was held of an item of this size than of the largest smaller one. Where one of them was not
// held there is no telling, and the next size decides.
func (t *trial) grew(size units.Bytes) bool {
	smaller := units.Bytes(0)
	for s := range t.held {
		if s < size {
			smaller = max(smaller, s)
		}
	}
	now, ok := t.held[size]
	before, was := t.held[smaller]
	if !ok || !was {
		return true
	}
	return float64(now-before) > max(grewShare*float64(before), grewBytes*float64(size-smaller), grewLeast)
}
