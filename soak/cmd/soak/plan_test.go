package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/record"
)

func TestWhatATrialOfWorkersCannotRefuteIsNotVerified(t *testing.T) {
	for name, c := range map[string]struct {
		capacity record.Capacity
		counts   []int
	}{
		"an answer":                 {record.Capacity{MaxWorkers: 4}, []int{4, 5}},
		"a lower bound":             {record.Capacity{MaxWorkers: 4, AtLeast: true}, []int{4}},
		"not even one":              {record.Capacity{MaxWorkers: -1}, []int{1}},
		"the files don't fit":       {record.Capacity{MaxWorkers: -1, Fits: &record.Fit{Files: 9}}, nil},
		"nothing is known":          {record.Capacity{Estimate: 7}, nil},
		"it hangs on a size":        {record.Capacity{Estimate: 7, UntriedSize: true}, []int{7}},
		"workers that files fit on": {record.Capacity{MaxWorkers: 2, Fits: &record.Fit{Files: 9}}, []int{2, 3}},
	} {
		counts, _ := toVerify(&c.capacity)
		assert.Equal(t, c.counts, counts, name)
	}
}
