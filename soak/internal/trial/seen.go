package trial

import (
	"context"
	"math"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/gateway"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// covariates are what the gates saw, in the words of a copier: a request is a file, a key a distinct file, a request to
// an upstream a request, and work that was answered and not done a backlog.
func (s *serviceRig) covariates(ctx context.Context, held *fault.HoldStatus) (record.Covariates, error) {
	seen, err := s.Seen(ctx)
	if err != nil {
		return record.Covariates{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	front := seen[subject.Front]
	c := record.Covariates{
		FilesDone: front.Finished, BytesDone: front.Bytes + front.BytesIn,
		Distinct: s.keys(front), Largest: s.largest, InFlight: front.InFlight, Failed: front.Failed,
		ConnsIn:   front.ConnsOpen,
		ConnsIdle: front.ConnsIdle, // of clients, which the subject keeps open; its own it counts among those open
	}
	if !s.t.Subject.Sized() {
		c.BytesDone = 0 // they are as many for each request, so a leak per byte is one per request
	}
	if s.engine == nil {
		c.Distinct = front.Distinct
	}
	if s.t.Subject.Load.Consume != nil {
		if c.FilesDone, err = s.consumed(ctx); err != nil {
			return c, err
		}
		c.Distinct = 0 // what it fetches has keys that are not known
		s.atQueue(seen)
	}
	for name, v := range seen {
		c.ConnsOpen, c.ConnsTotal = c.ConnsOpen+v.ConnsOpen, c.ConnsTotal+v.ConnsTotal
		c.Failed += v.FaultsHarmful
		if name != subject.Front {
			c.Requests += v.Started
			c.InFlight = max(c.InFlight, v.InFlight)
		}
	}
	s.inFlight(&c, seen, held)
	return c, nil
}

// inFlight adds where the requests in flight stand.
func (s *serviceRig) inFlight(c *record.Covariates, seen map[string]gateway.Seen, held *fault.HoldStatus) {
	if held == nil {
		c.BytesInFlight = c.InFlight * s.size
		return
	}
	n := int64(held.Waiting)
	c.AtHeader = max(0, c.InFlight-n) // they wait behind those that are held
	if s.holding != subject.Front {
		c.Backlog = s.backlog(seen[s.holding], seen[s.source()])
	}
	replies := s.t.Subject.SizedReplies()
	switch held.Point {
	case fault.GateRequestBody:
		c.BytesInFlight = n * s.size
		c.BytesSent = min(held.Offset, s.size) * n
	case fault.GateReplyBody:
		c.BytesInFlight = held.BytesWaiting // as the replies declare
		if c.BytesInFlight == 0 && s.holding == subject.Front {
			c.BytesInFlight = int64(s.replyShare * float64(n*s.size))
		}
		if c.BytesSent = c.BytesInFlight; held.Offset >= 0 {
			c.BytesSent = min(n*held.Offset, c.BytesInFlight)
		}
		if s.holding != subject.Front && !replies && s.t.Subject.SizedRequests() { // bodies may be there until the reply
			c.BytesInFlight, c.BytesSent, c.WithBody = c.BytesInFlight+n*s.size, c.BytesSent+n*s.size, n
		}
	case fault.GateRequest, fault.GateReply, fault.GateBytes:
		if s.t.Subject.SizedRequests() {
			c.BytesInFlight, c.BytesSent, c.WithBody = n*s.size, n*s.size, n
		} else if replies {
			c.AtHeader = c.InFlight // no reply has begun
		}
	}
}

// leastCalls is the share of requests that have to call an upstream before anything is said of those that wait for it.
const leastCalls = 0.1

// backlog is the number of requests that were answered, or of items that a consumer has fetched, whose call of the
// holding upstream has not come yet.
func (s *serviceRig) backlog(up, front gateway.Seen) int64 {
	rate := math.Min(1, s.calls.of(s.holding))
	if rate < leastCalls {
		return 0
	}
	wasFront, wasUp := s.before[s.source()], s.before[s.holding]
	came := front.Started - wasFront.Started
	if s.source() != subject.Front {
		came, front.InFlight = front.Finished-wasFront.Finished, up.InFlight // a fetch under way has no item yet
	}
	expected := math.Round(float64(came) * rate)
	arrived := float64(up.InFlight) + float64(up.Finished-wasUp.Finished)/math.Max(1, s.calls.of(s.holding))
	waiting := math.Max(0, float64(front.InFlight-up.InFlight)) // for their reply: they are in flight
	return int64(math.Max(0, expected-arrived-waiting))
}
