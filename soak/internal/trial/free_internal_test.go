package trial

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/sampler"
)

func TestACopyIsEndedOnceAllIsListedAndNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var listed int64
		tr := &trial{sam: &sampler.Sampler{Seen: func(context.Context, *fault.HoldStatus) (record.Covariates, error) {
			listed += 5
			return record.Covariates{FilesListed: listed}, nil
		}}}
		begun, ends := time.Now(), 0
		r := &running{done: make(chan struct{})}
		tr.onceListed(t.Context(), r, 12, time.Minute, func() { ends++ })
		assert.Equal(t, 1, ends)
		assert.Equal(t, time.Minute+3*listedEvery, time.Since(begun))
		close(r.done) // the copy ends by itself
		tr.onceListed(t.Context(), r, 1<<40, time.Minute, func() { ends++ })
		assert.Equal(t, 1, ends)
	})
}
