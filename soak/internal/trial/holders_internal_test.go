package trial

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/record"
)

// Memory of the largest hold is listed beside memory gathered by the end, each as it was when it had the most
// bytes.
func TestTwoLooksAreJoinedBySite(t *testing.T) {
	site := func(function string, bytes int64) record.HeldSite {
		return record.HeldSite{Site: record.Site{Function: function}, Stack: []string{function}, Bytes: bytes}
	}
	held := &record.Holders{Source: "held", Stopped: 1, Sites: []record.HeldSite{site("buffer", 100), site("leak", 5)}}
	end := &record.Holders{Source: "the end", Stopped: 2, Sites: []record.HeldSite{site("leak", 50), site("buffer", 1)}}
	joined := largest(held, end)
	assert.Equal(t, []record.HeldSite{site("buffer", 100), site("leak", 50)}, joined.Sites)
	assert.Equal(t, "held; the end", joined.Source)
	assert.Equal(t, 3.0, joined.Stopped)

	failed := &record.Holders{WhyNot: "not allowed"}
	assert.Equal(t, held, largest(held, failed), "what was found stays")
	assert.Equal(t, held, largest(failed, held))
	assert.Equal(t, end, largest(nil, end))
}
