package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/internal/screen"
	"github.com/memsoak/memsoak/migrator"
)

func TestTheBarFillsTheWidthAndTellsTheTimeLeft(t *testing.T) {
	s := &migrator.Stats{}
	s.Copied.Store(3)
	s.Found.Store(12)
	s.FoundBytes.Store(4 << 20)
	s.Bytes.Store(1 << 20)
	began := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	p := &progress{stats: s, began: began}
	line := p.barLine(began.Add(10*time.Second), 110)
	assert.Equal(t, 110, screen.Width(line))
	assert.Contains(t, line, "3/12 files, 0 failed [=")
	assert.Contains(t, line, "-] 1.0 MiB / 4.0 MiB  102 KiB/s  30s  mem ", "a quarter took 10 seconds")
	assert.NotContains(t, p.barLine(began.Add(10*time.Second), 60), "[", "no room for a bar")
	assert.NotContains(t, (&progress{stats: &migrator.Stats{}, began: began}).barLine(began.Add(time.Second), 99), "-1")
}
