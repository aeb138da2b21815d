package pace

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"golang.org/x/time/rate"
)

// service answers calls in fake time and complains beyond a quota per second, or about a share of all calls.
type service struct {
	now   time.Time
	quota int // calls per second that it takes; 0 is all
	every int // complains about one call in so many; 0 is none

	second time.Time
	taken  int
	calls  int
}

// run makes calls for d, waiting as l says, and returns how many were let through and how many not.
func (s *service) run(l *Limiter, d time.Duration) (through, refused int) {
	for end := s.now.Add(d); s.now.Before(end); {
		wait, ok := l.Reserve()
		s.now = s.now.Add(max(wait, time.Millisecond))
		if !ok {
			continue
		}
		if s.now.Sub(s.second) >= time.Second {
			s.second, s.taken = s.now, 0
		}
		s.taken++
		s.calls++
		if s.quota > 0 && s.taken > s.quota || s.every > 0 && s.calls%s.every == 0 {
			refused++
			l.Slow()
		} else {
			through++
		}
	}
	return through, refused
}

func newService() (*service, *Limiter) {
	s := &service{now: time.Unix(1e9, 0)}
	return s, New(0, func() time.Time { return s.now })
}

func TestNoLimitWithoutComplaints(t *testing.T) {
	s, l := newService()
	through, _ := s.run(l, 10*time.Second)
	assert.InDelta(t, 10_000, through, 10)
	assert.Equal(t, rate.Inf, l.bucket.Limit())
}

func TestFindsTheQuota(t *testing.T) {
	s, l := newService()
	s.quota = 100
	s.run(l, 20*time.Second) // settle
	through, refused := s.run(l, time.Minute)
	assert.Greater(t, through, 60*70, "most of the quota is used")
	assert.Less(t, refused, through/3, "few calls are wasted")
}

func TestRecoversWhenTheQuotaIsLifted(t *testing.T) {
	s, l := newService()
	s.quota = 5
	s.run(l, 30*time.Second)
	assert.Less(t, l.bucket.Limit(), rate.Limit(20))
	s.quota = 0
	s.run(l, time.Minute)
	assert.Equal(t, rate.Inf, l.bucket.Limit(), "no limit is left")
}

func TestSingleComplaintsDontSlowDown(t *testing.T) {
	s, l := newService()
	s.every = 20
	s.run(l, 30*time.Second)
	assert.Equal(t, rate.Inf, l.bucket.Limit())
}

func TestCeilingAndPause(t *testing.T) {
	s := &service{now: time.Unix(1e9, 0)}
	l := New(50, func() time.Time { return s.now })
	through, _ := s.run(l, 10*time.Second)
	assert.InDelta(t, 500, through, 20)
	l.Pause(s.now.Add(time.Hour))
	wait, ok := l.Reserve()
	assert.Equal(t, time.Hour, wait)
	assert.False(t, ok)
}
