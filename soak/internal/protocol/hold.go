package protocol

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
)

func (ph *Phase) checkHold() error {
	switch ph.Point {
	case fault.UploadReply, fault.DownloadHeader, fault.DownloadBody, fault.UploadBody:
	case fault.GateRequest, fault.GateReply, fault.GateRequestBody, fault.GateReplyBody, fault.GateBytes:
		if err := ph.checkGate(); err != nil {
			return err
		}
	default:
		return fmt.Errorf("cannot hold at %q; known: %s, %s, %s, %s", ph.Point, fault.UploadReply, fault.DownloadHeader,
			fault.DownloadBody, fault.UploadBody)
	}
	if ph.Transfers == "" {
		ph.Transfers = "M"
	}
	if ph.Backlog < 0 || ph.After < 0 {
		return errors.New("`backlog` and `after` must not be below 0")
	}
	if (ph.Point == fault.DownloadBody || ph.Point == fault.UploadBody) && (ph.Offset <= 0 || ph.Offset >= ph.Size) {
		return errors.New("`offset` must lie inside of the file")
	}
	if len(ph.Files) == 0 {
		return nil
	}
	for _, g := range ph.Files {
		if ph.Offset == 0 || g.Size >= ph.Offset {
			return errors.New("`files` of a hold must be smaller than its `offset`")
		}
	}
	return ph.checkFiles()
}

func (ph *Phase) checkSizes() error {
	if len(ph.Sizes) == 0 || ph.Sizes[0] <= 0 || !slices.IsSorted(ph.Sizes) {
		return errors.New("needs `sizes`, above 0 and ascending")
	}
	if ph.Backlog != 0 || ph.After != 0 || ph.Offset != 0 || len(ph.Files) > 0 || ph.Size != 0 {
		return errors.New("a series of sizes has no backlog, offset, files and size of its own")
	}
	ph.FewAbove, ph.Always = cmp.Or(ph.FewAbove, 16<<20), cmp.Or(ph.Always, ph.Sizes[min(1, len(ph.Sizes)-1)])
	return ph.checkHold()
}

// Holds are the holds of a series of sizes.
func (ph *Phase) Holds() []Phase {
	var out []Phase
	for _, size := range ph.Sizes {
		h := *ph
		h.Kind, h.Name, h.Size, h.Sizes = Hold, ph.Name+"-"+sizeName(size), size, nil
		if size > ph.FewAbove {
			h.Transfers, h.Then, h.MaxBytes = "2", []Count{"1"}, 0
		}
		out = append(out, h)
	}
	return out
}

// sizeName is a size as a part of a phase's name.
func sizeName(n units.Bytes) string {
	switch {
	case n%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", n>>20)
	case n%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dB", n)
}

// State is the state of the snapshots that a hold at the phase's point takes.
func (ph *Phase) State() record.State {
	switch ph.Point {
	case fault.UploadReply, fault.GateReply, fault.GateReplyBody, fault.GateBytes:
		return record.StateReply
	case fault.DownloadHeader, fault.GateRequest:
		return record.StateHeader
	default:
		return record.StateBody
	}
}
