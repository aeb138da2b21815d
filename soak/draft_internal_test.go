package soak

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/load"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

func TestTheNumberOfWorkersBecomesASetting(t *testing.T) {
	for _, c := range []struct {
		args []string
		env  map[string]string
		n    string
		want []string
	}{
		{args: []string{"--workers=8", "--port=9"}, n: "8", want: []string{"--workers={{.workers}}", "--port=9"}},
		{args: []string{"-workers", "8"}, n: "8", want: []string{"-workers", "{{.workers}}"}},
		{args: []string{"--upload-workers=3"}, n: "3", want: []string{"--upload-workers={{.workers}}"}},
		{args: []string{"workers=8"}, want: []string{"workers=8"}},
		{args: []string{"--workers=8", "--upload-workers=3"}, want: []string{"--workers=8", "--upload-workers=3"}},
		{args: []string{"--workers=many"}, want: []string{"--workers=many"}},
		{args: []string{}, env: map[string]string{"APP_WORKERS": "4"}, n: "4", want: []string{}},
		{args: []string{"--workers"}, want: []string{"--workers"}},
	} {
		assert.Equal(t, c.n, workersSetting(c.args, c.env), "%q", c.want)
		assert.Equal(t, c.want, c.args)
		if c.env != nil {
			assert.Equal(t, map[string]string{"APP_WORKERS": "{{.workers}}"}, c.env)
		}
	}
}

func TestAServiceHasItsOwnProtocols(t *testing.T) {
	s := &subject.Spec{Name: "s", Command: []string{"s"}, Pprof: "http://{{.addr}}/debug/pprof",
		Load: &load.Spec{Targets: []load.Target{{URL: "http://{{.addr}}/"}}}}
	for asked, want := range map[string]string{"default": "service", "quick": "service-quick", "service": "service"} {
		c := DefaultConfig()
		c.Protocol = asked
		p, err := NewPlanFor(s, c, Shard{})
		require.NoError(t, err)
		assert.Equal(t, want, p.Protocol.Name)
	}
}
