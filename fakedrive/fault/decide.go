package fault

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"math/bits"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Request is one request of a client, as rules and counters see it.
type Request struct {
	Op Op
	// Name is the file's name or path, or the object's key: what a rule's glob matches.
	Name string
	// Key tells files apart, for counting attempts and for deciding which are struck. Default: Name.
	Key string
	// Size is the number of body bytes that the request moves in full; 0 without a body, negative when unknown.
	Size int64
	// Offset is the first byte of the file that it moves (Range).
	Offset int64
	// Part says that it moves a part of a file, which another request completes.
	Part bool
}

// FileKey is the Key or the name.
func (r *Request) FileKey() string {
	if r.Key != "" {
		return r.Key
	}
	return r.Name
}

// Action is what a plan does to one request. The zero Action does nothing. The first part is for the fake to carry
// out; package control does the rest.
type Action struct {
	Change     bool // serve another revision of the file than was listed
	EmptyPage  bool // serve a list page without entries but with a token
	Duplicates int  // serve so many entries of a list page twice

	Delay  time.Duration
	Reply  *ErrorReply
	Strike *Strike
	ended  <-chan struct{} // closed when the plan is replaced: no request waits for an old plan's faults
}

// Strike is a fault at a place in the request's life.
type Strike struct {
	Kind    StrikeKind
	At      string
	Pos     int64 // body bytes that this request has moved before, for AtBody
	Stall   time.Duration
	Framing string
}

// StrikeKind says which fault it is.
type StrikeKind int

// The faults at a place.
const (
	StrikeReset StrikeKind = iota
	StrikeStall
	StrikeTruncate
	StrikeFlip
)

// maxAttemptKeys bounds the memory for attempts; beyond it, arbitrary ones are forgotten.
const maxAttemptKeys = 1 << 20

// ActivePlan is a plan at work.
type ActivePlan struct {
	*Plan
	ended  chan struct{}
	total  *rate.Limiter // nil without a limit
	rules  []ruleState
	quotas []quotaState

	mu       sync.Mutex
	attempts map[uint64]uint32 // hash of operation and key -> tries that were struck since the last that was not
}

type ruleState struct{ matched, struck atomic.Int64 }

type quotaState struct {
	mu    sync.Mutex
	since time.Time
	used  int64
}

// Activate puts a plan to work.
func Activate(p *Plan) *ActivePlan {
	return &ActivePlan{
		Plan: p, ended: make(chan struct{}), total: limiter(p.Bandwidth.Total),
		rules: make([]ruleState, len(p.Rules)), quotas: make([]quotaState, len(p.Quotas)),
		attempts: map[uint64]uint32{},
	}
}

// End ends the plan's stalls and delays.
func (p *ActivePlan) End() { close(p.ended) }

// Limits are those on the bandwidth of one more transfer.
func (p *ActivePlan) Limits() (all []*rate.Limiter) {
	for _, l := range []*rate.Limiter{limiter(p.Bandwidth.Stream), p.total} {
		if l != nil {
			all = append(all, l)
		}
	}
	return all
}

// OverQuota takes the request from the quotas and returns the error of the first that is used up.
func (p *ActivePlan) OverQuota(op Op, now time.Time) *ErrorReply {
	for i := range p.Quotas {
		q, s := &p.Quotas[i], &p.quotas[i]
		if len(q.Ops) > 0 && !slices.Contains(q.Ops, op) {
			continue
		}
		s.mu.Lock()
		if s.since.IsZero() || now.Sub(s.since) >= time.Minute {
			s.since, s.used = now, 0
		}
		s.used++
		over := s.used > q.PerMinute
		s.mu.Unlock()
		if over {
			return &q.Error
		}
	}
	return nil
}

// Decide says what happens to the request. It counts the attempt.
func (p *ActivePlan) Decide(req *Request) Action {
	act := Action{ended: p.ended}
	if len(p.Rules) == 0 {
		return act
	}
	id := hash(0, 0, req.Op, req.FileKey(), 0)
	attempt := p.attempt(id)
	struck := false
	for i := range p.Rules {
		r := &p.Rules[i]
		if !r.matches(req) || r.Attempts > 0 && attempt > uint32(r.Attempts) {
			continue
		}
		roll := hash(p.Seed, uint64(i)+1, req.Op, req.FileKey(), attempt)
		if r.Probability > 0 && float64(roll>>11)/(1<<53) >= r.Probability {
			continue
		}
		if !p.rules[i].take(r) {
			continue
		}
		act.Delay += time.Duration(r.Latency) + part(time.Duration(r.Jitter), roll)
		if len(r.effects()) > 0 {
			r.fill(&act, req)
			struck = true
			break
		}
	}
	p.settle(id, attempt, struck)
	return act
}

// part is a share of d that the lower bits of roll decide.
func part(d time.Duration, roll uint64) time.Duration {
	hi, _ := bits.Mul64(roll<<32, uint64(d))
	return time.Duration(hi)
}

// take counts a match and says whether Skip and Limit let the rule strike.
func (s *ruleState) take(r *Rule) bool {
	if s.matched.Add(1) <= r.Skip {
		return false
	}
	return s.struck.Add(1) <= r.Limit || r.Limit == 0
}

func (r *Rule) matches(req *Request) bool {
	if len(r.Ops) == 0 && req.Op == OpAccept || len(r.Ops) > 0 && !slices.Contains(r.Ops, req.Op) {
		return false
	}
	if r.Files != "" {
		if ok, _ := path.Match(r.Files, req.Name); !ok { // the pattern was checked with the plan
			return false
		}
	}
	if pl := r.place(); pl != nil && pl.body() {
		_, ok := pl.position(req)
		return ok
	}
	return true
}

// place is where the rule's effect strikes; nil for effects without a place.
func (r *Rule) place() *Place {
	switch {
	case r.Reset != nil:
		return r.Reset
	case r.Stall != nil:
		return &r.Stall.Place
	case r.Truncate != nil:
		return &r.Truncate.Place
	default:
		return r.Flip
	}
}

// position is the place in body bytes of this request; false if the request doesn't have the byte.
func (p *Place) position(req *Request) (int64, bool) {
	pos := int64(p.After)
	if p.Offset > 0 {
		pos = int64(p.Offset) - req.Offset
	}
	return pos, pos >= 0 && (pos < req.Size || req.Size < 0)
}

// fill puts the rule's effect into the action.
func (r *Rule) fill(act *Action, req *Request) {
	act.Reply, act.Change, act.EmptyPage, act.Duplicates = r.Error, r.Change, r.EmptyPage, r.Duplicates
	pl := r.place()
	if pl == nil {
		return
	}
	s := &Strike{At: pl.at()}
	s.Pos, _ = pl.position(req)
	switch {
	case r.Stall != nil:
		s.Kind, s.Stall = StrikeStall, time.Duration(r.Stall.For)
	case r.Truncate != nil:
		s.Kind, s.Framing = StrikeTruncate, r.Truncate.Framing
	case r.Flip != nil:
		s.Kind = StrikeFlip
	}
	act.Strike = s
}

// attempt says which attempt at its operation this is, from 1.
func (p *ActivePlan) attempt(id uint64) uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.attempts[id] + 1
}

// settle remembers a struck attempt and forgets the count after one that was not struck.
func (p *ActivePlan) settle(id uint64, attempt uint32, struck bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !struck {
		delete(p.attempts, id)
		return
	}
	if _, known := p.attempts[id]; !known && len(p.attempts) >= maxAttemptKeys {
		for k := range p.attempts {
			delete(p.attempts, k)
			break
		}
	}
	p.attempts[id] = attempt
}

// hash mixes what a decision depends on. It is the same on every machine and in every process.
func hash(seed, rule uint64, op Op, key string, attempt uint32) uint64 {
	h := fnv.New64a()
	var b [20]byte
	binary.LittleEndian.PutUint64(b[:], seed)
	binary.LittleEndian.PutUint64(b[8:], rule)
	binary.LittleEndian.PutUint32(b[16:], attempt)
	h.Write(b[:])
	h.Write([]byte(op))
	h.Write([]byte{0})
	h.Write([]byte(key))
	x := h.Sum64() // FNV's high bits are poor: finish as splitmix64 does
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Wait waits for d, or until the plan is replaced. Only the end of ctx is an error.
func (a *Action) Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-a.ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// limiter returns a limiter of so many bytes per second that hands out at most a twentieth of a second per call;
// nil for 0.
func limiter(perSecond Size) *rate.Limiter {
	if perSecond <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(int(perSecond/20), 1))
}
