package study

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheRestIsEstimatedFromWhatIsDone: pieces that take twice their estimate make the rest twice as long, and those
// that were kept from an earlier run say nothing.
func TestTheRestIsEstimatedFromWhatIsDone(t *testing.T) {
	now := start
	var said []Progress
	s := &schedule{said: func(p Progress) { said = append(said, p) }, clock: func() time.Time { return now }}
	s.add(10*time.Second, 20*time.Second, 30*time.Second, 5*time.Second, 5*time.Second)
	piece := func(expected, took time.Duration, kept bool) {
		require.NoError(t, s.piece("a", expected, func() (string, bool, error) {
			now = now.Add(took)
			return "b", kept,
				nil
		}))
	}
	piece(10*time.Second, 0, true)
	piece(20*time.Second, 40*time.Second, false)
	s.drop(1, 5*time.Second)
	piece(30*time.Second, 60*time.Second, false)
	assert.Equal(t, []Progress{
		{N: 1, Of: 5, Name: "a", Text: "b", Kept: true, Left: 60 * time.Second},
		{N: 2, Of: 5, Name: "a", Text: "b", Left: 80 * time.Second},
		{N: 3, Of: 4, Name: "a", Text: "b", Left: 10 * time.Second},
	}, said)
	boom := errors.New("boom")
	assert.ErrorIs(t, s.piece("a", 5*time.Second, func() (string, bool, error) { return "", false, boom }), boom)
	assert.Len(t, said, 3, "what failed has not ended")
}

// TestWhatIsExpectedFitsIntoTheTimePromised on two idle CPUs, with a margin of a fifth.
func TestWhatIsExpectedFitsIntoTheTimePromised(t *testing.T) {
	sum := func(s Selection, free time.Duration) (d time.Duration) {
		b := &Bench{Scale: 16, Free: free}
		jobs, err := b.jobs(Rows(16), s, &Result{})
		require.NoError(t, err)
		for _, j := range jobs {
			d += b.expect(j.row, j.corpus)
		}
		return d
	}
	assert.Less(t, sum(Selection{Matrix: true, Quick: true}, 7*time.Second), 8*time.Minute*4/5)
	d := sum(Selection{Matrix: true}, 25*time.Second)
	for _, e := range append(fullSizeExpected(), rcloneExpected()...) {
		d += e
	}
	assert.Less(t, d, 30*time.Minute*4/5)
}
