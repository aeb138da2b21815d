package soak

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

func TestLanesFollowProcessorsAndMemory(t *testing.T) {
	eight := machine{cpus: []int{0, 1, 2, 3, 4, 5, 6, 7}, usable: 8, procs: 8, memory: 64 << 30}
	two := machine{cpus: []int{0, 1}, usable: 2, procs: 2, memory: 64 << 30}
	with := func(m machine, change func(*machine)) machine { change(&m); return m }
	for name, c := range map[string]struct {
		want     int
		m        machine
		config   func(*Config)
		settings map[string]string // of all trials
		apart    bool              // no cgroup
		lanes    []string
		why      string
	}{
		"auto on two processors": {want: Auto, m: two},
		"auto on eight":          {want: Auto, m: eight, lanes: []string{"0", "1", "2", "3", "4", "5"}},
		"auto with memory for two": {want: Auto, m: with(eight, func(m *machine) { m.memory = 6 << 30 }),
			lanes: []string{"0-3", "4-7"}},
		"auto with memory for one": {want: Auto, m: with(eight, func(m *machine) { m.memory = 3 << 30 }),
			why: "GiB of memory"},
		"auto on four": {want: Auto, m: machine{[]int{0, 1, 2, 3}, 4, 4, 64 << 30},
			lanes: []string{"0-1", "2-3"}},
		"auto within a quota": {want: Auto, m: with(eight, func(m *machine) { m.usable, m.procs = 2, 2 })},
		"one":                 {want: 1, m: eight},
		"two on two":          {want: 2, m: two, lanes: []string{"0", "1"}},
		"two with gaps": {want: 2, m: machine{[]int{1, 3, 4, 7}, 4, 4, 64 << 30},
			lanes: []string{"1,3", "4,7"}},
		"three on two": {want: 3, m: two,
			why: "3 trials beside each other need as many processors, and 2"},
		"two with memory for one": {want: 2, m: with(two, func(m *machine) { m.memory = 3 << 30 }),
			why: "lower --limit"},
		"memory unknown": {want: 2, m: with(two, func(m *machine) { m.memory = 0 }),
			why: "0 B are available"},
		"GOMAXPROCS above the quota": {want: 2, m: with(two, func(m *machine) { m.procs = 8 }),
			why: "GOMAXPROCS is 8 and only 2"},
		"no processors to share out": {want: 2, m: machine{memory: 64 << 30, usable: 2, procs: 2},
			why: "can't be shared out"},
		"no cgroup": {want: 2, m: two, apart: true, why: "without a memory cgroup"},
		"no limit": {want: 2, m: two,
			config: func(c *Config) { c.Limit = 0 }, why: "without a memory limit"},
		"a node's limit": {want: 2, m: two,
			config: func(c *Config) { c.Node = 8 << 30 }, why: "one node"},
		"a cpuset that isn't there": {want: 2, m: two,
			settings: map[string]string{"cpuset": "1-2"}, why: "processor 2 can't be used here (those that can: 0-1)"},
		"said of one at a time, too": {want: 1, m: two,
			settings: map[string]string{"cpuset": "9"}, why: "processor 9"},
		"trials with their own set":   {want: 2, m: two, settings: map[string]string{"cpuset": "0"}},
		"trials with their own procs": {want: 2, m: two, settings: map[string]string{"gomaxprocs": "2"}},
		"a limit of their own": {want: 2, m: two,
			settings: map[string]string{"limit": "40Gi"}, why: "need 81 GiB"},
		"speed alone": {want: 2, m: two,
			config: func(c *Config) { c.Trials = []record.TrialKind{record.Speed} }},
	} {
		t.Run(name, func(t *testing.T) {
			config := DefaultConfig()
			config.Axes, config.Set = DefaultAxes(), c.settings
			if c.config != nil {
				c.config(&config)
			}
			p, err := NewPlan(config, Shard{})
			require.NoError(t, err)
			lanes, why := p.lanes(c.want, !c.apart, c.m)
			assert.Equal(t, c.lanes, lanes)
			if c.why == "" {
				assert.Empty(t, why)
				return
			}
			assert.Contains(t, why, c.why)
			assert.Contains(t, why, "one trial at a time")
		})
	}
}

// TestServicesRunAlone: a service may listen at an address of its own and share its upstreams.
func TestServicesRunAlone(t *testing.T) {
	p, err := NewPlan(DefaultConfig(), Shard{})
	require.NoError(t, err)
	step := Step{Kind: record.Attribution}
	assert.True(t, p.shares(step))
	fixed := *p.Subject
	fixed.Command, fixed.Pprof, fixed.Metrics, fixed.Ready = []string{"app", "--listen=:80"}, "http://:80/", "", ""
	fixed.Wave.URL = "http://:80"
	p.Subject = &fixed
	assert.False(t, p.shares(step), "a fixed address")
	profiled := fixed
	profiled.Command, profiled.Wave.URL = []string{"app", "--listen={{.addr}}"}, "http://{{.addr}}"
	profiled.Pprof = "http://{{.addr}}/debug/pprof"
	p.Subject = &profiled
	assert.True(t, p.shares(step))
	profiled.Pprof = "http://127.0.0.1:6060/debug/pprof"
	assert.False(t, p.shares(step), "its profiles are at a fixed address")
}

func TestParseParallel(t *testing.T) {
	for text, want := range map[string]int{"auto": Auto, "1": 1, "64": 64} {
		n, err := ParseParallel(text)
		require.NoError(t, err)
		assert.Equal(t, want, n)
	}
	for _, bad := range []string{"", "0", "-1", "65", "two", "1.5"} {
		_, err := ParseParallel(bad)
		assert.ErrorIs(t, err, ErrConfig, bad)
	}
}
