package main

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The flame graph of the migrator's dashboard selects the services that a migrator sends.
func TestDashboardSelectsTheMigratorsProfiles(t *testing.T) {
	b, err := os.ReadFile("../../../dashboards/grafana/dashboards/migrator.json")
	require.NoError(t, err)
	var board struct {
		Panels []struct {
			Targets []struct {
				LabelSelector string `json:"labelSelector"`
			} `json:"targets"`
		} `json:"panels"`
	}
	require.NoError(t, json.Unmarshal(b, &board))
	selector := regexp.MustCompile(`^\{service_name=~"(.*)"\}$`)
	found := 0
	for _, p := range board.Panels {
		for _, q := range p.Targets {
			if q.LabelSelector == "" {
				continue
			}
			found++
			m := selector.FindStringSubmatch(q.LabelSelector)
			require.NotNil(t, m, q.LabelSelector)
			var pattern string
			require.NoError(t, json.Unmarshal([]byte(`"`+m[1]+`"`), &pattern), "a selector is quoted as a string of Go")
			s := &settings{}
			s.copy.Workers, s.wire.MaxIdleConnsPerHost = 8, 40
			assert.Regexp(t, "^(?:"+pattern+")$", s.profileService())
			assert.NotRegexp(t, "^(?:"+pattern+")$", "memsoak.migrator.w8.m1800MiB.p40.9d1e35.t1", "a trial of a soak")
		}
	}
	assert.Positive(t, found)
}
