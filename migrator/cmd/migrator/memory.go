package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// gcPercent is the GOGC that commands run with when the environment sets none. The live heap is a few megabytes; at
// half of it a copy of small files spends a tenth of its CPU time more on collecting (make bench-migrator).
const gcPercent = 100

// discoverGCPercent is that of a process which only lists: it makes little else than garbage, and the few megabytes
// more halve its CPU time (make bench-migrator).
const discoverGCPercent = 200

// outsideHeap is what the process needs besides the memory that GOMEMLIMIT counts: pages of the binary, and of the
// queue's files until they are written.
const outsideHeap = 24 << 20

// limitEnv is the environment variable that says how much memory the container may have, in bytes, as Kubernetes'
// downward API gives it. GOMEMLIMIT can't be that: it has to lie below.
const limitEnv = "MEMORY_LIMIT"

// tuneMemory sets a garbage collection target, and a soft memory limit below the hard one, unless the environment says
// otherwise.
func tuneMemory() error {
	setGC(gcPercent)
	if os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	limit, err := hardLimit(os.Getenv(limitEnv))
	if err == nil && limit > 0 {
		debug.SetMemoryLimit(softLimit(limit))
	}
	return err
}

// setGC sets a garbage collection target, unless the environment has one.
func setGC(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// hardLimit is the memory that the process may have, in bytes: what the environment says, else the cgroup's limit; 0
// when there is none.
func hardLimit(said string) (int64, error) {
	if said != "" {
		limit, err := strconv.ParseInt(said, 10, 64)
		if err != nil || limit <= 0 {
			return 0, fmt.Errorf("%s=%q: want a number of bytes", limitEnv, said)
		}
		return limit, nil
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0, nil // not Linux
	}
	return cgroupLimit("/sys/fs/cgroup", own), nil
}

// softLimit leaves room below a hard limit.
func softLimit(hard int64) int64 {
	return max(hard-max(outsideHeap, hard/10), hard/2)
}

// cgroupLimit returns the lowest memory limit that holds for the process, in bytes; 0 when there is none. mount is
// where cgroups are mounted, own the content of /proc/self/cgroup.
func cgroupLimit(mount string, own []byte) int64 {
	lowest := int64(0)
	for line := range bytes.Lines(own) {
		f := strings.SplitN(strings.TrimSpace(string(line)), ":", 3)
		if len(f) != 3 {
			continue
		}
		dir, file := mount, "memory.max"
		switch {
		case f[0] == "0" && f[1] == "":
		case strings.Contains(","+f[1]+",", ",memory,"):
			dir, file = filepath.Join(mount, "memory"), "memory.limit_in_bytes"
		default:
			continue
		}
		for path := filepath.Clean("/" + f[2]); ; path = filepath.Dir(path) {
			b, err := os.ReadFile(filepath.Join(dir, path, file))
			v, perr := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
			if err == nil && perr == nil && v > 0 && v < 1<<60 && (lowest == 0 || v < lowest) {
				lowest = v
			}
			if path == "/" {
				break
			}
		}
	}
	return lowest
}
