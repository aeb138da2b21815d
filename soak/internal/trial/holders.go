package trial

import (
	"context"
	"path/filepath"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/holders"
)

// whoHolds writes down who holds what in the subject at the trial's end, or why that is not known. It is the last thing
// done with the subject, because the subject is stopped for it. What goes wrong here is no reason for a trial to fail.
func (t *trial) whoHolds(ctx context.Context) {
	if !t.WhoHolds || t.Kind != record.Attribution {
		return
	}
	t.watch.stop() // a stopped subject answers nobody
	h, err := holders.Find(ctx, holders.Options{PID: t.proc.PID(), Child: true, Module: t.proc.Describe().Module})
	if ctx.Err() != nil {
		return // the run was interrupted, or the subject has ended
	}
	if err != nil {
		h = &record.Holders{Schema: record.HoldersSchema, Time: time.Now(), Source: "the subject", Sites: []record.HeldSite{}, WhyNot: err.Error()}
	}
	if err := record.Write(filepath.Join(t.Dir, record.HoldersFile), h); err != nil {
		t.rec.warn("who holds it: %v", err)
	}
}
