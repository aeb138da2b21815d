package dashboards_test

import (
	"bufio"
	"bytes"
	"cmp"
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
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/needs"
)

// query is a PromQL query and where it is written.
type query struct {
	where, expr string
	kind        kind
	over        time.Duration // what the dashboard shows of the time before
}

// kind is how a query is asked.
type kind int

const (
	instant  kind = iota
	graph         // over the dashboard's time
	variable      // which series there are in the dashboard's time
	recorded      // a recorded series and what it is made of, for the process that it is about
)

var (
	selects     = regexp.MustCompile(`=~?"\$[a-z]+"`)
	labelValues = regexp.MustCompile(`^label_values\((.+), [a-z_]+\)$`)
	comparison  = regexp.MustCompile(`\s(>|<|>=|<=|==|!=)\s[0-9. *]+$`)
)

// queries are all queries of dashboards, variables and rules. Alerts are taken apart: what they compare must be there,
// whether or not it is beyond the threshold.
func queries(t *testing.T) []query {
	t.Helper()
	var out []query
	for file, d := range load(t) {
		over, err := time.ParseDuration(strings.TrimPrefix(d.Time.From, "now-"))
		require.NoError(t, err, file)
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				if q.Expr == "" {
					continue
				}
				e := strings.NewReplacer("$__rate_interval", "1m", "$__range", strings.TrimPrefix(d.Time.From, "now-")).
					Replace(selects.ReplaceAllString(q.Expr, `=~".*"`))
				k := instant
				if q.Range {
					k = graph
				}
				out = append(out, query{file + ": " + p.Title + " " + q.RefID, e, k, over})
			}
		}
		for _, v := range d.Templating.List {
			if m := labelValues.FindStringSubmatch(v.Definition); m != nil {
				out = append(out, query{file + ": $" + v.Name, m[1], variable, over})
			}
		}
	}
	for _, r := range readRules(t) {
		if r.Record != "" {
			out = append(out, query{"rule " + r.Record, r.Expr, recorded, 0},
				query{"series " + r.Record, r.Record, recorded, 0})
			continue
		}
		for part := range strings.SplitSeq(r.Expr, " and ") {
			bare := comparison.ReplaceAllString(strings.TrimSpace(part), "")
			require.NotEqual(t, strings.TrimSpace(part), bare, "%s: %q compares nothing", r.Alert, part)
			out = append(out, query{"alert " + r.Alert, bare, instant, 0})
		}
	}
	return out
}

// lab is a migrator with both fakes, a soak, and a Prometheus that scrapes them.
type lab struct {
	t   *testing.T
	dir string
	ctx context.Context
	end context.CancelFunc
	wg  sync.WaitGroup

	admin map[string]string // of a fake's address, where it is steered
}

// Every query of every dashboard and rule returns data from a real Prometheus that scrapes a real soak, a real migrator
// at work and both fakes; and what panels and alerts ask of the soak is still answered an hour after its end.
func TestEveryQueryReturnsData(t *testing.T) {
	if testing.Short() {
		t.Skip("a soak and a Prometheus, a minute or more")
	}
	version, err := exec.CommandContext(t.Context(), needs.Get(t, "prometheus"), "--version").CombinedOutput()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	l := &lab{t: t, dir: t.TempDir(), ctx: ctx, end: cancel}
	defer l.wg.Wait()
	defer cancel()
	l.build()
	drive := l.fake("fakedrive", "serve", "--corpus", "mixed", "--listen", "127.0.0.1:0")
	sink := l.fake("soak", "fakes3", "serve", "--listen", "127.0.0.1:0", "--bucket", "soak")
	migrator := "http://" + freeAddress(t)
	l.start(nil, "migrator", "serve", "--listen", strings.TrimPrefix(migrator, "http://"), "--drive-endpoint", drive,
		"--s3-endpoint", sink, "--bucket", "soak", "--workers", "4")
	l.wait(migrator + "/healthz")
	l.wg.Go(func() { l.work(drive, migrator) })
	soak, ended := l.soak()
	prom := l.prometheus(map[string]string{"migrator": migrator, "fakedrive": drive, "fakes3": sink, "soak": soak})

	all := queries(t)
	l.answered(prom, all)
	select {
	case <-ended:
	case <-ctx.Done():
		t.Fatal("the soak does not end")
	}
	l.until("a scrape that finds no soak", func() bool {
		n, err := l.ask(prom, `up{job="soak"} == 0`)
		return err == nil && n > 0
	})
	later, late := time.Now().Add(time.Hour), 0
	records := map[string]string{} // what Prometheus will record then: nothing is recorded of a time to come
	for _, r := range readRules(t) {
		records[r.Record] = r.Expr
	}
	for _, q := range all {
		if q.kind == recorded || !strings.Contains(q.expr, "soak") { // the others are of processes that continue
			continue
		}
		late++
		q.expr = cmp.Or(records[q.expr], q.expr)
		n, err := l.askAt(prom, q, later)
		require.NoError(t, err, "%s: %s", q.where, q.expr)
		assert.Positive(t, n, "no data an hour after the end: %s: %s", q.where, q.expr)
	}
	assert.Positive(t, late)
	t.Logf("%s: %d queries answered during the run, %d of the soak asked again at its end + 1 h (asked for: all)",
		strings.SplitN(string(version), " (", 2)[0], len(all), late)
}

// answered waits until each query has had data.
func (l *lab) answered(prom string, open []query) {
	l.t.Helper()
	for len(open) > 0 {
		var rest []query
		for _, q := range open {
			if n, err := l.ask(prom, q.expr); err != nil {
				require.NoError(l.t, err, "%s: %s", q.where, q.expr)
			} else if n == 0 {
				rest = append(rest, q)
			}
		}
		if open = rest; len(open) == 0 {
			return
		}
		select {
		case <-l.ctx.Done():
			for _, q := range open {
				l.t.Errorf("no data: %s: %s", q.where, q.expr)
			}
			l.t.FailNow()
		case <-time.After(time.Second):
		}
	}
}

func (l *lab) build() {
	l.t.Helper()
	bin := filepath.Join(l.dir, "bin") + string(filepath.Separator)
	cmd := exec.CommandContext(l.ctx, "go", "build", "-o", bin, "github.com/memsoak/memsoak/soak/cmd/soak",
		"github.com/memsoak/memsoak/migrator/cmd/migrator", "github.com/memsoak/memsoak/fakedrive/cmd/fakedrive")
	out, err := cmd.CombinedOutput()
	require.NoError(l.t, err, "%s", out)
}

// start starts a program of the lab. It ends with the test, by SIGTERM, so that it can clean up.
func (l *lab) start(stdout io.Writer, name string, args ...string) {
	l.t.Helper()
	path := filepath.Join(l.dir, "bin", name)
	if name == "prometheus" {
		path = needs.Get(l.t, name)
	}
	cmd := exec.CommandContext(l.ctx, path, args...)
	cmd.Dir, cmd.Env = l.dir, append(os.Environ(), "GOMEMLIMIT=450MiB")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	var errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = stdout, &errs
	require.NoError(l.t, cmd.Start())
	l.wg.Go(func() {
		if err := cmd.Wait(); err != nil && l.ctx.Err() == nil {
			l.t.Errorf("%s: %v\n%.2000s", name, err, errs.String())
			l.end()
		}
		if c, ok := stdout.(io.Closer); ok {
			c.Close()
		}
	})
}

// fake starts a fake and returns where it listens.
func (l *lab) fake(name string, args ...string) string {
	l.t.Helper()
	file := filepath.Join(l.dir, strings.Join(args[:2], "-")+name+".json")
	l.start(nil, name, append(args, "--addr-file", file)...)
	var a struct{ HTTP, Admin string }
	l.until("the addresses of "+name, func() bool {
		b, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(b, &a) == nil && a.HTTP != ""
	})
	if l.admin == nil {
		l.admin = map[string]string{}
	}
	l.admin[a.HTTP] = a.Admin
	return a.HTTP
}

// short is a protocol whose verdicts are not asked for. Its trials idle so long that graphs of one point in 15 s have
// some.
const short = `
name: short
trials: [attribution, speed]
memprofilerate: 4096
budget: 2m
wave_timeout: 1m
settle: 50ms
phases:
  - {name: idle, kind: idle, for: 12s}
  - {name: warm-up, kind: warm-up, files: [{count: 10, size: 4KiB}]}
  - {name: wave, kind: wave, times: 6, files: [{count: 40, size: 64KiB}]}
speed:
  - {name: free, kind: free, at_most: 4s}
`

// soak starts a soak of short trials and returns where its metrics are; the channel is closed when it has ended.
func (l *lab) soak() (metrics string, ended <-chan struct{}) {
	l.t.Helper()
	require.NoError(l.t, os.WriteFile(filepath.Join(l.dir, "short.yaml"), []byte(short), 0o600))
	r, w := io.Pipe()
	l.start(w, "soak", "run", "--axis", "workers=2,3,4", "--protocol", "short.yaml", "--out", "run", "--metrics-listen",
		"127.0.0.1:0")
	found, end := make(chan string, 1), make(chan struct{})
	l.wg.Go(func() {
		defer close(end)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			if u, ok := strings.CutPrefix(lines.Text(), "metrics: "); ok {
				found <- strings.TrimSuffix(u, "/metrics")
			}
		}
	})
	select {
	case u := <-found:
		return u, end
	case <-l.ctx.Done():
		l.t.Fatal("the soak does not say where its metrics are")
		return "", nil
	}
}

// work copies one tree after another until the test ends.
func (l *lab) work(drive, migrator string) {
	for gen := 1; l.ctx.Err() == nil; gen++ {
		var root struct{ ID string }
		if l.post(l.admin[drive]+"/_fake/v1/roots", fmt.Sprintf(`{"corpus":"mixed","generation":%d}`, gen), &root) == nil {
			_ = l.post(migrator+"/v1/migrations?wait=true", fmt.Sprintf(`{"root":%q,"prefix":"g%d/"}`, root.ID, gen), nil)
		}
	}
}

func (l *lab) post(to, body string, out any) error {
	req, err := http.NewRequestWithContext(l.ctx, http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// prometheus starts a Prometheus with the committed rules and the committed jobs, at other addresses.
func (l *lab) prometheus(jobs map[string]string) string {
	l.t.Helper()
	abs, err := filepath.Abs(rules)
	require.NoError(l.t, err)
	cfg := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%s/recording.yml, "+
		"%s/alerts.yml]\nscrape_configs:\n", abs, abs)
	for job, u := range jobs {
		cfg += fmt.Sprintf("  - {job_name: %s, static_configs: [{targets: ['%s']}]}\n", job, strings.TrimPrefix(u, "http://"))
	}
	file := filepath.Join(l.dir, "prometheus.yml")
	require.NoError(l.t, os.WriteFile(file, []byte(cfg), 0o644))
	addr := freeAddress(l.t)
	l.start(nil, "prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(l.dir, "tsdb"),
		"--web.listen-address="+addr)
	l.wait("http://" + addr + "/-/ready")
	return "http://" + addr
}

// ask returns how many series a query has now.
func (l *lab) ask(prom, expr string) (int, error) {
	return l.get(prom + "/api/v1/query?" + url.Values{"query": {expr}}.Encode())
}

// askAt returns how many series a query of a dashboard or an alert has for a person who looks at a time.
func (l *lab) askAt(prom string, q query, at time.Time) (int, error) {
	stamp := func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
	switch q.kind {
	case variable:
		return l.get(prom + "/api/v1/series?" + url.Values{"match[]": {q.expr}, "start": {stamp(at.Add(-q.over))},
			"end": {stamp(at)}}.Encode())
	case graph:
		return l.get(prom + "/api/v1/query_range?" + url.Values{"query": {q.expr}, "start": {stamp(at.Add(-q.over))},
			"end": {stamp(at)}, "step": {"15s"}}.Encode())
	}
	return l.get(prom + "/api/v1/query?" + url.Values{"query": {q.expr}, "time": {stamp(at)}}.Encode())
}

// get returns how many series an answer of the API has.
func (l *lab) get(u string) (int, error) {
	req, err := http.NewRequestWithContext(l.ctx, http.MethodGet, u, nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil // the end of the test's time, which names the query
	}
	defer resp.Body.Close()
	var v struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		return 0, err
	}
	if v.Status != "success" {
		return 0, fmt.Errorf("prometheus: %s", v.Error)
	}
	var list []json.RawMessage // of series
	if json.Unmarshal(v.Data, &list) == nil {
		return len(list), nil
	}
	var result struct{ Result []json.RawMessage }
	err = json.Unmarshal(v.Data, &result)
	return len(result.Result), err
}

func (l *lab) wait(u string) {
	l.t.Helper()
	l.until(u, func() bool {
		req, err := http.NewRequestWithContext(l.ctx, http.MethodGet, u, nil)
		if err != nil {
			return false
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// until waits for a condition of a process that has no other way to say it is ready.
func (l *lab) until(what string, ok func() bool) {
	l.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-l.ctx.Done():
			l.t.Fatalf("no %s in time", what)
		case <-tick.C:
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
