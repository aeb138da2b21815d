package pyroscope

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/capture"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/drawn"
)

// realServer is the address of the server that PYROSCOPE_URL names, or else it starts the Pyroscope of PYROSCOPE_BIN
// with the composition's configuration, everything on loopback at ports of the kernel's choice.
func realServer(t *testing.T) string {
	t.Helper()
	if base := os.Getenv("PYROSCOPE_URL"); base != "" {
		return base
	}
	bin := os.Getenv("PYROSCOPE_BIN")
	if bin == "" {
		t.Skip("SKIPPED: no real Pyroscope server: PYROSCOPE_BIN names none (its sources build one in some 20 minutes)")
	}
	bin, err := exec.LookPath(bin)
	require.NoError(t, err, "PYROSCOPE_BIN")
	dir, port := t.TempDir(), map[string]string{}
	for _, what := range []string{"http", "grpc", "memberlist", "raft"} {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close() // all are open until each is known, so that no two are the same
		_, port[what], err = net.SplitHostPort(l.Addr().String())
		require.NoError(t, err)
		require.NoError(t, l.Close())
	}
	committed, err := os.ReadFile("../../../dashboards/pyroscope/config.yml")
	require.NoError(t, err)
	config := strings.NewReplacer("4040", port["http"], "dir: /data", "dir: "+dir+"/data").Replace(string(committed))
	require.NotEqual(t, string(committed), config)
	file := filepath.Join(dir, "config.yml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	const host = "127.0.0.1"
	grpc, raft := host+":"+port["grpc"], host+":"+port["raft"]
	args := []string{"-config.file=" + file, "-target=all", "-server.http-listen-address=" + host,
		"-server.grpc-listen-address=" + host, "-server.grpc-listen-port=" + port["grpc"],
		"-memberlist.bind-addr=" + host, "-memberlist.advertise-addr=" + host,
		"-memberlist.bind-port=" + port["memberlist"],
		"-memberlist.advertise-port=" + port["memberlist"], "-memberlist.join=" + host + ":" + port["memberlist"],
		"-ring.store=inmemory", "-query-frontend.instance-addr=" + host, "-ingester.lifecycler.addr=" + host,
		"-segment-writer.lifecycler.addr=" + host, "-metastore.address=" + grpc, "-query-backend.address=" + grpc,
		"-metastore.raft.bind-address=" + raft, "-metastore.raft.advertise-address=" + raft,
		"-metastore.raft.server-id=" + raft, "-metastore.raft.bootstrap-peers=" + raft + "/" + raft,
		"-compactor.data-dir=" + dir + "/compactor", "-metastore.data-dir=" + dir + "/metastore",
		"-metastore.raft.dir=" + dir + "/raft", "-metastore.raft.snapshots-dir=" + dir + "/snapshots",
		"-pyroscopedb.data-path=" + dir + "/db"}
	for _, ring := range []string{"compactor", "distributor", "overrides-exporter", "query-scheduler"} {
		args = append(args, "-"+ring+".ring.instance-addr="+host, "-"+ring+".ring.store=inmemory")
	}
	args = append(args, "-store-gateway.sharding-ring.instance-addr="+host,
		"-store-gateway.sharding-ring.store=inmemory")
	startServer(t, dir, bin, args)
	base := "http://" + host + ":" + port["http"]
	begun := time.Now()
	eventually(t, 5*time.Minute, "the server is ready", func() bool {
		code, _ := get(t, base+"/ready")
		return code == http.StatusOK
	})
	t.Logf("a real Pyroscope, ready after %.0f s", time.Since(begun).Seconds())
	return base
}

// startServer runs a program until the test ends.
func startServer(t *testing.T, dir, bin string, args []string) {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	require.NoError(t, cmd.Start())
	var wg sync.WaitGroup
	wg.Go(func() { _ = cmd.Wait() }) // it ends by a signal
	t.Cleanup(func() {
		stop()
		wg.Wait()
		log.Close()
		if t.Failed() {
			text, err := os.ReadFile(log.Name())
			t.Logf("%v %s", err, text[max(0, len(text)-4000):])
		}
	})
}

func eventually(t *testing.T, patience time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(200*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("not in time: ", what)
		case <-tick.C:
		}
	}
}

func get(t *testing.T, u string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, body
}

// realRun is the run that MEMSOAK_RUN names, copied, or one of the test's own.
func realRun(t *testing.T) (string, *record.Run) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	if from := os.Getenv("MEMSOAK_RUN"); from != "" {
		require.NoError(t, os.CopyFS(dir, os.DirFS(from)))
		require.NoError(t, os.RemoveAll(filepath.Join(dir, JournalFile)))
	} else {
		_, err := drawn.Write(dir, drawn.Options{Axes: drawn.Small(), Start: time.Now().Add(-2 * time.Hour)})
		require.NoError(t, err)
	}
	run, err := record.ReadRun(dir)
	require.NoError(t, err)
	return dir, run
}

// onDisk are the live bytes of the recorded heap profile of a view: not those that are sent, but those of the file,
// without the readings of profiles.
func onDisk(t *testing.T, it item) int64 {
	t.Helper()
	f, err := os.Open(it.path)
	require.NoError(t, err)
	defer f.Close()
	p, err := capture.ParseProfile(it.path, f)
	require.NoError(t, err)
	capture.DropReadings(p)
	return total(p, "inuse_space")
}

// A real server, where PYROSCOPE_BIN names one: what a person opens for a cell, for a phase, for a floor, for two cells
// and from the report's link is within 1 % of a recorded profile, over the whole time of the run and an hour on each
// side, as the server's own page, its comparison and Grafana ask for it. A push that is broken off, continued, and
// repeated without its journal changes none of that.
func TestViewsOnARealServerAreRecordedProfiles(t *testing.T) {
	base := realServer(t)
	dir, run := realRun(t)
	c, err := NewClient(base)
	require.NoError(t, err)
	pushAll := func(ctx context.Context) Result {
		p, err := NewPusher(c, dir, Shown{})
		require.NoError(t, err)
		defer p.Close()
		if err := p.Run(ctx); err != nil {
			require.ErrorIs(t, err, context.Canceled)
		}
		return p.Result()
	}
	broken, cut := context.WithCancel(t.Context())
	p, err := NewPusher(c, dir, Shown{})
	require.NoError(t, err)
	var some sync.WaitGroup
	some.Go(func() {
		defer cut()
		eventually(t, time.Minute, "a first profile is stored", func() bool { return p.Result().Stored > 0 })
	})
	require.ErrorIs(t, p.Run(broken), context.Canceled)
	some.Wait()
	first := p.Result()
	require.NoError(t, p.Close())
	begun := time.Now()
	rest := pushAll(t.Context())
	took := time.Since(begun)
	require.NoError(t, os.Remove(filepath.Join(dir, JournalFile)))
	again := pushAll(t.Context())
	t.Logf("%d cells: %d profiles before the push was broken off, %d after it in %.1f s; again without the journal: "+
		"%d sent, %d there already", len(run.Status), first.Stored, rest.Stored, took.Seconds(), again.Stored, again.Already)
	assert.Empty(t, append(rest.Problems, again.Problems...))
	assert.Zero(t, again.Stored, "a push from another machine stores nothing twice")

	v := &views{t: t, base: base, run: run, worst: map[string]float64{}, seen: map[string]int{}}
	profiles := v.cells(dir)
	assert.GreaterOrEqual(t, rest.Stored+rest.Already, profiles, "what was under way at the break is there")
	for _, what := range []string{"cell", "phase", "floor", "two cells", "floors of the report's link"} {
		t.Logf("%-28s %3d views, the worst %.4f %% from its recorded profile (asked for: 1 %%)", what, v.seen[what],
			100*v.worst[what])
		assert.Positive(t, v.seen[what], what)
		assert.LessOrEqual(t, v.worst[what], 0.01, what)
	}
}

// views asks a server for what a person opens.
type views struct {
	t     *testing.T
	base  string
	run   *record.Run
	worst map[string]float64 // by kind of view: |shown - recorded| / recorded
	seen  map[string]int
}

// cells looks at all views of all cells, and says how many profiles there are.
func (v *views) cells(dir string) (profiles int) {
	var last *item // the peak of another cell
	for _, cell := range v.run.Status {
		for _, ts := range cell.Trials {
			at := fmt.Sprintf("%s/trial-%d", cell.Dir, ts.Index)
			tr, err := record.ReadTrial(filepath.Join(dir, filepath.FromSlash(at)))
			require.NoError(v.t, err)
			its := items(v.run, dir, at, tr)
			profiles += len(its)
			var floors []item
			for _, it := range its {
				if it.kind != record.HeapDir {
					continue
				}
				kind := map[string]string{"peak": "cell", "phase": "phase", "floor": "floor"}[label(it, "view")]
				v.shows(kind, onDisk(v.t, it), v.flame(it.service)...)
				switch kind {
				case "floor":
					floors = append(floors, it)
				case "cell":
					if last != nil {
						left, right := v.compare(v.base + "/pyroscope/render-diff?" + v.sides(*last, it).Encode())
						v.shows("two cells", onDisk(v.t, *last), left)
						v.shows("two cells", onDisk(v.t, it), right)
					}
					last = &it
				}
			}
			for _, l := range Links(Entry{URL: v.base}, v.run, tr) {
				left, right := v.compare(l.URL)
				v.shows("floors of the report's link", onDisk(v.t, floors[0]), left)
				v.shows("floors of the report's link", onDisk(v.t, floors[len(floors)-1]), right)
			}
		}
	}
	return profiles
}

func label(it item, name string) string {
	for _, l := range it.labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

func (v *views) shows(kind string, want int64, got ...int64) {
	for _, n := range got {
		v.seen[kind]++
		v.worst[kind] = max(v.worst[kind], abs(float64(n-want))/float64(max(want, 1)))
	}
}

func abs(x float64) float64 { return max(x, -x) }

// from and until are the range that a person looks at: the run and an hour on each side.
func (v *views) from() string {
	return strconv.FormatInt(v.run.Started.Add(-time.Hour).UnixMilli(), 10)
}
func (v *views) until() string {
	return strconv.FormatInt(v.run.Ended.Add(time.Hour).UnixMilli(), 10)
}

// flame is the total of a service's flame graph by the two ways that pages ask for it: render, and what the server's
// new page and Grafana use.
func (v *views) flame(service string) []int64 {
	typ, sel := typeOf(record.HeapDir, "inuse_space")[0], selector(service, nil)
	code, body := get(v.t, v.base+"/pyroscope/render?"+url.Values{"query": {typ + sel}, "format": {"json"},
		"from": {v.from()}, "until": {v.until()}}.Encode())
	require.Equal(v.t, http.StatusOK, code, "%s", body)
	var old struct{ Flamebearer struct{ NumTicks int64 } }
	require.NoError(v.t, json.Unmarshal(body, &old))
	ask, err := json.Marshal(map[string]any{"profileTypeID": typ, "labelSelector": sel, "start": v.from(),
		"end": v.until()})
	require.NoError(v.t, err)
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost,
		v.base+"/querier.v1.QuerierService/SelectMergeStacktraces", bytes.NewReader(ask))
	require.NoError(v.t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(v.t, err)
	defer resp.Body.Close()
	var page struct{ Flamegraph struct{ Total json.Number } }
	require.NoError(v.t, json.NewDecoder(resp.Body).Decode(&page))
	n, err := page.Flamegraph.Total.Int64()
	require.NoError(v.t, err, service)
	return []int64{old.Flamebearer.NumTicks, n}
}

// sides are the parameters of a comparison of two services over the range.
func (v *views) sides(left, right item) url.Values {
	q := url.Values{}
	for side, it := range map[string]item{"left": left, "right": right} {
		q.Set(side+"Query", typeOf(record.HeapDir, "inuse_space")[0]+selector(it.service, nil))
		q.Set(side+"From", v.from())
		q.Set(side+"Until", v.until())
	}
	return q
}

func (v *views) compare(u string) (left, right int64) {
	code, body := get(v.t, u)
	require.Equal(v.t, http.StatusOK, code, "%s", body)
	var d struct{ LeftTicks, RightTicks int64 }
	require.NoError(v.t, json.Unmarshal(body, &d))
	return d.LeftTicks, d.RightTicks
}
