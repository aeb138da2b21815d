package e2e

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/needs"
	"github.com/memsoak/memsoak/migrator/internal/rig"
)

// redis starts a Redis of the test's own.
func redis(t *testing.T, settings ...string) *rig.RedisServer {
	t.Helper()
	dir, err := rig.ServerDir()
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	s, err := rig.Redis(t.Context(), dir, settings...)
	needs.Skip(t, err)
	require.NoError(t, err)
	t.Cleanup(s.Kill)
	return s
}

// midway starts a discoverer that stays and two uploaders, and returns when all three take part and some files are
// copied.
func (s *shared) midway(root, prefix string) []*run {
	s.faults("", "bandwidth: {total: 200KiB}\n")
	before, err := s.sink.Counters(s.t.Context())
	require.NoError(s.t, err)
	stays := s.part("discover", prefix, "--prefix", prefix, "--page-size", "50", "--wait", root)
	parts := []*run{stays, s.uploader(prefix), s.uploader(prefix)}
	s.reach(before.Finished+10, parts)
	seen(s.t, "all parts take part", func() bool { return s.status(prefix).Alive >= int64(len(parts)) })
	require.Positive(s.t, s.status(prefix).Left, "the migration was over too soon")
	return parts
}

// TestRedisThatForgets has no file and is killed in the midst of a migration: no process says that all is copied when
// it isn't, each says in one line what happened, and the migration that is begun again is complete.
func TestRedisThatForgets(t *testing.T) {
	if rounds() < 2 {
		t.Skip("SKIPPED, a Redis that loses its memory takes half a minute, and is part of make chaos")
	}
	s := newShared(t, redis(t, "--appendonly", "no"))
	lines := 0
	row(t, "Redis without a file", "one line, then "+complete, func() string { return fmt.Sprintf("%d lines", lines) })
	tr := s.tree(crashTree, 1)
	parts := s.midway(tr.root, "forgets")
	s.broker.Kill()
	require.NoError(t, s.broker.Start())
	s.faults("", "")
	for _, p := range parts {
		s.refuses(p, "the broker has lost the migration")
		lines++
	}
	for _, p := range []*run{s.discoverer(tr.root, "forgets"), s.uploader("forgets")} {
		s.ends(p)
	}
	s.verify(tr, "forgets")
}

// TestRedisThatFailsOver is killed in the midst of a migration, and a replica takes its place and its name. The replica
// lags: the work done since it last heard of the first is done again, by the same processes.
func TestRedisThatFailsOver(t *testing.T) {
	if rounds() < 1 {
		t.Skip("SKIPPED, a failover of Redis takes ten seconds, and is part of make chaos")
	}
	first := redis(t)
	host, port, err := net.SplitHostPort(first.Addr)
	require.NoError(t, err)
	second := redis(t, "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0")
	client := goredis.NewClient(&goredis.Options{Addr: second.Addr})
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	seen(t, "the replica is linked", func() bool {
		info, err := client.Info(t.Context(), "replication").Result()
		require.NoError(t, err)
		return strings.Contains(info, "master_link_status:up")
	})
	s := newShared(t, first)
	var left, lost int64
	row(t, "Redis fails over", complete, func() string {
		return fmt.Sprintf("a replica with %d files to go, %d files behind", left, lost)
	})
	tr := s.tree(crashTree, 1)
	parts := s.midway(tr.root, "failover")
	require.NoError(t, client.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err())
	before := s.status("failover").Left
	seen(t, "ten files are done that the replica does not know of", func() bool {
		lost = before - s.status("failover").Left
		return lost >= 10
	})
	first.Kill()
	s.relay.Turn(second.Addr)
	left = s.status("failover").Left
	s.faults("", "")
	for _, p := range parts {
		s.ends(p)
	}
	assert.Greater(t, left, before-lost, "the replica knew all")
	st := s.status("failover")
	assert.Zero(t, st.Left)
	assert.Zero(t, st.Totals.Failed)
	s.verify(tr, "failover")
}

// TestRedisThatEvicts is refused before anything is queued.
func TestRedisThatEvicts(t *testing.T) {
	s := newShared(t, redis(t, "--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru"))
	row(t, "Redis that evicts", "one line, nothing stored", func() string { return "maxmemory-policy allkeys-lru" })
	tr := s.tree(crashTree, 1)
	s.refuses(s.discoverer(tr.root, "evicts"), "set it to noeviction")
	s.refuses(s.uploader("evicts"), "set it to noeviction")
	assert.Empty(t, s.objects("evicts"))
}

// seen looks until something is so, and fails where it is not within two minutes: what it waits for may have died.
func seen(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		require.True(t, time.Now().Before(end), "not in two minutes: %s", what)
	}
}
