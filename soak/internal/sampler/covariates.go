package sampler

import (
	"context"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/profiles/record"
)

// Covariates reads what the fakes saw; nil when there are none or they don't answer.
func (s *Sampler) Covariates(ctx context.Context) *record.Covariates {
	if s.Seen != nil {
		c, err := s.Seen(ctx, s.Held.Load())
		if err != nil {
			s.miss(ctx)
			return nil
		}
		c.Waves = s.Waves.Load()
		return &c
	}
	if s.Drive == nil || s.S3 == nil {
		return nil
	}
	d, err := s.Drive.Counters(ctx)
	if err != nil {
		s.miss(ctx)
		return nil
	}
	u, err := s.S3.Counters(ctx)
	if err != nil {
		s.miss(ctx)
		return nil
	}
	c := covariates(d, u, s.Held.Load())
	c.Waves = s.Waves.Load()
	return &c
}

// covariates joins the counters of Drive, d, and S3, u. A streamed transfer is in flight on both sides, a buffered one
// on one side at a time: the larger side is the number of transfers in every frozen state, and a lower bound while they
// run freely. The parts of one file are one transfer. Distinct files are counted by their ids on Drive: a repeated wave
// may store them under keys of its own. Failed are transfers that ended early and requests that were failed on purpose.
func covariates(d, u fault.Counters, held *fault.HoldStatus) record.Covariates {
	c := record.Covariates{
		FilesListed: d.FilesListed, FilesDone: u.FilesFinished, Distinct: d.Distinct, BytesDone: u.Bytes,
		Pages: d.ListPages, Folders: d.FoldersListed, Requests: d.Requests + u.Requests, Failed: d.Failed + u.Failed +
			d.FaultsHarmful + u.FaultsHarmful,
		Largest: max(d.Largest, u.Largest), Backlog: max(0, d.Backlog-d.InFlight),
		InFlight: max(d.InFlight, u.FilesInFlight), BytesInFlight: max(d.BytesInFlight, u.BytesInFlight),
		WithBody:  max(0, u.FilesInFlight-d.InFlight),
		ConnsOpen: d.ConnsOpen + u.ConnsOpen, ConnsIdle: d.ConnsIdle + u.ConnsIdle, ConnsTotal: d.ConnsTotal + u.ConnsTotal,
	}
	if held == nil {
		return c
	}
	n := int64(held.Waiting)
	switch held.Point {
	case fault.DownloadHeader:
		c.AtHeader = n
		c.BytesInFlight = max(0, d.BytesInFlight-held.BytesWaiting, u.BytesInFlight)
	case fault.DownloadBody:
		c.BytesSent = min(held.Offset*n, held.BytesWaiting)
	case fault.UploadReply:
		c.WithBody = min(n, c.InFlight) // parts of one file are held each for itself
		c.BytesSent = held.BytesWaiting
	case fault.UploadBody:
		c.BytesSent = min(held.Offset*n, held.BytesWaiting)
	}
	return c
}
