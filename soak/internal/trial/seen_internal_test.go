package trial

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/gateway"
	"github.com/memsoak/memsoak/soak/internal/load"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// TestBodiesThatCameAreInFlightWhileAnUpstreamReplies has requests of 1 MiB whose upstream's reply of two bytes is
// held: the service may still have all that it was sent. Its own reply may come after it has let go of them.
func TestBodiesThatCameAreInFlightWhileAnUpstreamReplies(t *testing.T) {
	const mib = 1 << 20
	held := &fault.HoldStatus{Hold: fault.Hold{Point: fault.GateReplyBody, Offset: -1}, Waiting: 4, BytesWaiting: 8}
	at := func(gate, body string) record.Covariates {
		spec := &subject.Spec{Load: &load.Spec{Targets: []load.Target{{Body: body}}}}
		s := &serviceRig{t: &trial{Options: Options{Subject: spec}}, holding: gate, size: mib}
		c := record.Covariates{InFlight: 4}
		s.inFlight(&c, map[string]gateway.Seen{}, held)
		return c
	}
	c := at("quotes", "{{.blob}}")
	assert.EqualValues(t, 4*mib+8, c.BytesInFlight)
	assert.EqualValues(t, 4*mib+8, c.BytesSent)
	assert.EqualValues(t, 4, c.WithBody)
	assert.EqualValues(t, 8, at("quotes", "").BytesInFlight, "requests without bodies")
	assert.EqualValues(t, 8, at(subject.Front, "{{.blob}}").BytesInFlight)
}
