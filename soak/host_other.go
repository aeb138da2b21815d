//go:build !linux

package soak

import "github.com/memsoak/memsoak/profiles/record"

// describeHost leaves the fields empty that only Linux fills in.
func describeHost(*record.Host) {}

func memoryAvailable() int64 { return 0 }
