package trial_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/load"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/testsubject"
	"github.com/memsoak/memsoak/soak/internal/trial"
)

// smallService is a protocol with one phase of each kind that a service has, in little time.
const smallService = `
name: small
trials: [attribution]
memprofilerate: 4096
looks: 1
budget: 2m
wave_timeout: 1m
settle: 100ms
phases:
  - {name: idle, kind: idle, for: 20ms}
  - {name: warm-up, kind: warm-up, files: [{count: 20, size: 1KiB}]}
  - {name: wave, kind: wave, times: 3, files: [{count: 20, size: 1KiB}]}
  - {name: held, kind: hold, gate: each, point: reply, transfers: M, then: [M/2], size: 1KiB}
  - {name: body, kind: hold, gate: each, sized: true, point: reply-body, at_end: true, transfers: M, size: 64KiB}
  - {name: queue, kind: hold, gate: each, point: request, transfers: M, backlog: 30, size: 1KiB}
  - {name: upload, kind: hold, gate: front, sized: true, point: request-body, offset: 32KiB, transfers: M, size: 64KiB}
  - {name: connections, kind: connections, files: [{count: 12, size: 1KiB}]}
  - {name: answered, kind: answered, files: [{count: 40, size: 1KiB}]}
  - {name: running, kind: running, transfers: 2M}
  - {name: repeat, kind: repeat, of: wave}
  - {name: free, kind: free, at_most: 200ms}
  - {name: idle-again, kind: idle-again, for: 40ms, snapshots: 2}
`

func serviceOptions(t *testing.T, mode, upstream string) trial.Options {
	t.Helper()
	o := options(t, testsubject.OK)
	o.Subject = testsubject.ServiceSpec(mode, upstream)
	require.NoError(t, o.Subject.Check())
	p, err := protocol.Parse([]byte(smallService))
	require.NoError(t, err)
	o.Protocol, err = p.For(o.Subject.Service())
	require.NoError(t, err)
	o.Settings = map[string]string{"concurrency": "4"}
	return o
}

// states are the covariates of the first snapshot of each phase in a state.
func states(tr *record.Trial, held bool) map[string]record.Covariates {
	out := map[string]record.Covariates{}
	for _, s := range tr.Snapshots {
		steered := s.State.Held() || s.State == record.StateFloor
		if _, known := out[s.Phase]; !known && steered && s.State.Held() == held && s.Covariates != nil {
			out[s.Phase] = *s.Covariates
		}
	}
	return out
}

func TestAServiceIsBroughtIntoEachState(t *testing.T) {
	tr := run(t, serviceOptions(t, testsubject.Sync, ""))
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	assert.Equal(t, record.ItemRequest, tr.Item)
	held := states(tr, true)
	assert.EqualValues(t, 4, held["held"].InFlight)
	assert.EqualValues(t, 4*64<<10, held["body"].BytesInFlight, "the reply's bytes count once they have come")
	assert.EqualValues(t, 34, held["queue"].InFlight)
	assert.EqualValues(t, 0, held["queue"].Backlog, "all that wait have not been answered: they are in flight")
	assert.EqualValues(t, 4*64<<10, held["upload"].BytesInFlight)
	assert.EqualValues(t, 4*32<<10, held["upload"].BytesSent)
	assert.EqualValues(t, 0, held["connections"].InFlight)
	assert.EqualValues(t, 12, held["connections"].ConnsIdle)
	rest := states(tr, false)
	assert.EqualValues(t, 60, rest["wave-3"].FilesDone-rest["warm-up"].FilesDone)
	assert.Equal(t, rest["repeat"].Distinct, rest["connections"].Distinct, "repeated requests bring no new keys")
	assert.Greater(t, rest["repeat"].FilesDone, rest["connections"].FilesDone)
	free := rest["free"].FilesDone - rest["repeat"].FilesDone
	assert.Positive(t, free)
	assert.InDelta(t, free, rest["free"].Distinct-rest["repeat"].Distinct, 4,
		"each of a free run is new, but for what was cut off")
}

func TestAServiceThatCallsNothingIsLookedAtAsItRuns(t *testing.T) {
	tr := run(t, serviceOptions(t, testsubject.Alone, ""))
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	held := states(tr, true)
	require.Contains(t, held, "answered")
	assert.EqualValues(t, 0, held["answered"].InFlight, "all have been answered")
	assert.EqualValues(t, 40, held["answered"].FilesDone-states(tr, false)["connections"].FilesDone)
	require.Contains(t, held, "running")
	assert.Greater(t, held["running"].InFlight, int64(4), "twice as many as the load has elsewhere")
	for _, n := range tr.Snapshots {
		if n.Phase == "running" && n.State.Held() {
			assert.LessOrEqual(t, n.Covariates.Distinct, n.Covariates.FilesDone+n.Covariates.InFlight,
				"keys of requests that have begun")
		}
		if n.Hold != nil && n.Hold.Point == record.PointAnswered {
			assert.Positive(t, n.Hold.Share, "it was short of processor time")
		}
	}
	assert.NotContains(t, held, "queue", "there is nowhere to hold them")

	o := serviceOptions(t, testsubject.Alone, "")
	o.Settings["cpu_limit"] = "2"
	for _, n := range run(t, o).Snapshots {
		if n.Hold != nil && n.Hold.Point == record.PointAnswered {
			assert.Less(t, n.Hold.Share, 1.0, "a wide limit of its own leaves it short of nothing")
		}
	}
	tr = run(t, serviceOptions(t, testsubject.Sync, ""))
	assert.NotContains(t, states(tr, true), "answered", "what calls an upstream is held there")
}

func TestWorkThatWaitsAfterItsReplyIsABacklog(t *testing.T) {
	tr := run(t, serviceOptions(t, testsubject.Async, ""))
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	c := states(tr, true)["queue"]
	assert.EqualValues(t, 4, c.InFlight, "at the upstream")
	assert.EqualValues(t, 30, c.Backlog)
}

func TestOutcomesOfAServiceHaveNames(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	for _, c := range []struct{ mode, upstream, reason string }{
		{testsubject.Fails, "", "it was answered with 500 Internal Server Error"},
		{testsubject.Async, "http://" + l.Addr().String(), "upstream items at http://" + l.Addr().String() +
			" did not answer 20 requests: connection refused"},
		{testsubject.Works, "", "still at work long after its last reply"},
	} {
		o := serviceOptions(t, c.mode, c.upstream)
		if c.mode == testsubject.Works {
			o.Protocol.WaveTimeout = protocol.Duration(4 * time.Second)
		}
		tr := run(t, o)
		assert.Equal(t, record.WaveFailed, tr.Outcome, c.mode)
		assert.Contains(t, tr.Reason, c.reason, c.mode)
	}
}

func TestALoadCommandIsAWave(t *testing.T) {
	o := serviceOptions(t, testsubject.Sync, "")
	o.Subject.Load.Targets = nil
	o.Subject.Load.Command = []string{"sh", "-c",
		`i=0; while [ $i -lt {{.n}} ]; do curl -sf -X POST -d x "http://$MEMSOAK_ADDR/{{.key}}-$i" || exit 1; ` +
			`i=$((i+1)); done`}
	require.NoError(t, o.Subject.Check())
	o.Protocol.Phases = o.Protocol.Phases[:3] // none that holds: this command makes one request at a time
	tr := run(t, o)
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	assert.EqualValues(t, 80, tr.Snapshots[len(tr.Snapshots)-1].Covariates.FilesDone)

	o = serviceOptions(t, testsubject.Sync, "")
	o.Subject.Load.Targets, o.Subject.Load.Command = nil, []string{"sh", "-c", "echo cannot connect; exit 4"}
	require.NoError(t, o.Subject.Check())
	tr = run(t, o)
	assert.Equal(t, record.WaveFailed, tr.Outcome)
	assert.Contains(t, tr.Reason, "cannot connect")
}

func TestAConsumerIsCountedByWhatItFetches(t *testing.T) {
	o := serviceOptions(t, testsubject.Pulls, "")
	o.Subject.Load.Targets, o.Subject.Load.Consume = nil, &load.Consume{Upstream: "items",
		For: fault.Duration(time.Minute)}
	require.NoError(t, o.Subject.Check())
	o.Protocol.Phases = o.Protocol.Phases[:4]
	tr := run(t, o)
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	rest := states(tr, false)
	assert.GreaterOrEqual(t, rest["wave-3"].FilesDone-rest["warm-up"].FilesDone, int64(60))
	assert.EqualValues(t, 1, states(tr, true)["held"].InFlight, "it fetches one item at a time")
	for _, s := range tr.Snapshots {
		if s.State == record.StateFloor || s.State == record.StateIdle {
			assert.Zero(t, s.Covariates.InFlight, "%s: it is held before its queue and has no work", s.Phase)
		}
	}
	require.GreaterOrEqual(t, len(tr.Snapshots), 2)
	assert.Zero(t, tr.Snapshots[0].Covariates.FilesDone, "idle is before the first fetch")
	assert.Contains(t, tr.Warnings[0], "a consumer: nothing was sent to it")
}

// TestAConsumerNeedsNoSetting has neither workers nor concurrency among its settings: their number is counted.
func TestAConsumerNeedsNoSetting(t *testing.T) {
	o := serviceOptions(t, testsubject.Pulls, "")
	o.Settings = map[string]string{}
	o.Subject.Load = &load.Spec{Consume: &load.Consume{Upstream: "items"}}
	require.NoError(t, o.Subject.Check())
	tr := run(t, o)
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	assert.EqualValues(t, 1, states(tr, true)["held"].InFlight)
	for _, p := range tr.Phases {
		if p.Kind == protocol.Repeat {
			assert.NotEmpty(t, p.LeftOut, "the items of a queue can't be given once more")
		}
	}
}

func TestALoadCommandThatNeverEndsIsATimeout(t *testing.T) {
	o := serviceOptions(t, testsubject.Sync, "")
	o.Subject.Load.Targets, o.Subject.Load.Command = nil, []string{"sleep", "1000"}
	require.NoError(t, o.Subject.Check())
	o.Protocol.WaveTimeout = protocol.Duration(time.Second)
	tr := run(t, o)
	assert.Equal(t, record.Timeout, tr.Outcome, tr.Reason)
	assert.Equal(t, "a wave of 20 requests was not done and nothing moved for 1s; the load command sleep had not ended",
		tr.Reason)
}

func TestALoadThatMissesTheGateIsNamed(t *testing.T) {
	o := serviceOptions(t, testsubject.Sync, "")
	o.Subject.Load.Targets, o.Subject.Load.Command = nil, []string{"true"}
	require.NoError(t, o.Subject.Check())
	tr := run(t, o)
	assert.Equal(t, record.WaveFailed, tr.Outcome)
	assert.Contains(t, tr.Reason, "the load sent nothing to memsoak's gate")
}
