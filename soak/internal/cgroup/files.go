package cgroup

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"

	"github.com/memsoak/memsoak/profiles/record"
)

// unlimited is above every real limit: version 1 says "no limit" by a number near the largest.
const unlimited = math.MaxInt64 / 4

// readInt reads a file with one number; "max" is no limit, 0.
func readInt(dir, name string) (int64, error) {
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return parseInt(path, b)
}

// parseInt reads the number that a file has.
func parseInt(path string, text []byte) (int64, error) {
	s := string(bytes.TrimSpace(text))
	if s == "max" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	if n > unlimited {
		return 0, nil
	}
	return n, nil
}

// readKeys reads a file of "key value" lines.
func readKeys(dir, name string) (map[string]int64, error) {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	m := map[string]int64{}
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		k, v, ok := strings.Cut(sc.Text(), " ")
		if !ok {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
			m[k] = n
		}
	}
	return m, nil
}

// readV1 reads a version 1 memory group. The total_ keys count the groups below it, as usage does.
func readV1(dir string) (record.Cgroup, error) {
	var c record.Cgroup
	var err error
	if c.Usage, err = readInt(dir, "memory.usage_in_bytes"); err != nil {
		return c, err
	}
	if c.Peak, err = readInt(dir, "memory.max_usage_in_bytes"); err != nil {
		return c, err
	}
	if c.Limit, err = readInt(dir, "memory.limit_in_bytes"); err != nil {
		return c, err
	}
	stat, err := readKeys(dir, "memory.stat")
	if err != nil {
		return c, err
	}
	c.Anon, c.Shmem = stat["total_rss"], stat["total_shmem"]
	c.File = max(0, stat["total_cache"]-c.Shmem) // cache includes shmem
	if c.Kernel, err = readInt(dir, "memory.kmem.usage_in_bytes"); errors.Is(err, fs.ErrNotExist) {
		err = nil // kernels without kmem accounting
	}
	if err != nil {
		return c, err
	}
	ctl, err := readKeys(dir, "memory.oom_control")
	c.OOMs = ctl["oom_kill"]
	return c, err
}

// readV2 reads a version 2 group. memory.peak came with Linux 5.19: without it the peak is 0 and the sampler's own
// running maximum is all there is.
func readV2(dir string) (record.Cgroup, error) {
	var c record.Cgroup
	var err error
	if c.Usage, err = readInt(dir, "memory.current"); err != nil {
		return c, err
	}
	if c.Peak, err = readInt(dir, "memory.peak"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	if c.Limit, err = readInt(dir, "memory.max"); err != nil {
		return c, err
	}
	stat, err := readKeys(dir, "memory.stat")
	if err != nil {
		return c, err
	}
	c.Anon, c.Shmem, c.Kernel = stat["anon"], stat["shmem"], stat["kernel"]
	c.File = max(0, stat["file"]-c.Shmem) // file includes shmem
	ev, err := readKeys(dir, "memory.events")
	c.OOMs = ev["oom_kill"]
	return c, err
}

// procs lists the processes of the group at dir, of either version; none when it can't be read.
func procs(dir string) []int {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil
	}
	var out []int
	for _, f := range strings.Fields(string(b)) {
		if n, err := strconv.Atoi(f); err == nil && n > 0 {
			out = append(out, n)
		}
	}
	return out
}

// of is the memory group of a process where groups are usually mounted: its directory, and the files there with its
// kills and its limit. All are empty where there is none.
func of(pid int) (dir, kills, limit string) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return "", "", ""
	}
	groups, _ := proc.Cgroups() // none where they can't be read
	for _, g := range groups {
		switch {
		case slices.Contains(g.Controllers, "memory"):
			return filepath.Join("/sys/fs/cgroup/memory", g.Path), "memory.oom_control", "memory.limit_in_bytes"
		case g.HierarchyID == 0:
			dir, kills, limit = filepath.Join("/sys/fs/cgroup", g.Path), "memory.events", "memory.max"
		}
	}
	return dir, kills, limit
}

// Kills returns how to read the number of processes of a process's memory group that have been killed for memory; ok
// says that it can be read. The group is looked up here, for the kernel forgets it with the process.
func Kills(pid int) func() (n int64, ok bool) {
	dir, kills, _ := of(pid)
	return func() (int64, bool) {
		events, err := readKeys(dir, kills)
		n, ok := events["oom_kill"]
		return n, ok && err == nil
	}
}

// Limit is the limit of a process's memory group in bytes; 0 without one, or where it can't be read.
func Limit(pid int) int64 {
	dir, _, limit := of(pid)
	n, _ := readInt(dir, limit)
	return n
}
