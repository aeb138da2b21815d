package dashboards_test

import (
	"bufio"
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
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/needs"
)

// query is a PromQL query and where it is written.
type query struct{ where, expr string }

var (
	variable    = regexp.MustCompile(`=~?"\$[a-z]+"`)
	labelValues = regexp.MustCompile(`^label_values\((.+), [a-z_]+\)$`)
	comparison  = regexp.MustCompile(`\s(>|<|>=|<=|==|!=)\s[0-9. *]+$`)
)

// queries are all queries of dashboards, variables and rules. Alerts are taken apart: what they compare must be there,
// whether or not it is beyond the threshold.
func queries(t *testing.T) []query {
	t.Helper()
	var out []query
	for file, d := range load(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				if q.Expr == "" {
					continue
				}
				e := variable.ReplaceAllString(q.Expr, `=~".*"`)
				out = append(out, query{file + ": " + p.Title + " " + q.RefID, strings.ReplaceAll(e, "$__rate_interval", "1m")})
			}
		}
		for _, v := range d.Templating.List {
			if m := labelValues.FindStringSubmatch(v.Definition); m != nil {
				out = append(out, query{file + ": $" + v.Name, m[1]})
			}
		}
	}
	for _, r := range readRules(t) {
		if r.Record != "" {
			out = append(out, query{"rule " + r.Record, r.Expr}, query{"series " + r.Record, r.Record})
			continue
		}
		for part := range strings.SplitSeq(r.Expr, " and ") {
			bare := comparison.ReplaceAllString(strings.TrimSpace(part), "")
			require.NotEqual(t, strings.TrimSpace(part), bare, "%s: %q compares nothing", r.Alert, part)
			out = append(out, query{"alert " + r.Alert, bare})
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
// at work and both fakes.
func TestEveryQueryReturnsData(t *testing.T) {
	if testing.Short() {
		t.Skip("a soak and a Prometheus, a minute or more")
	}
	needs.Get(t, "prometheus")
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
	prom := l.prometheus(map[string]string{"migrator": migrator, "fakedrive": drive, "fakes3": sink, "soak": l.soak()})

	open := queries(t)
	t.Logf("%d queries", len(open))
	for len(open) > 0 {
		var rest []query
		for _, q := range open {
			if n, err := l.ask(prom, q.expr); err != nil {
				require.NoError(t, err, "%s: %s", q.where, q.expr)
			} else if n == 0 {
				rest = append(rest, q)
			}
		}
		if open = rest; len(open) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			for _, q := range open {
				t.Errorf("no data: %s: %s", q.where, q.expr)
			}
			return
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

// soak starts a soak of many short trials and returns where its metrics are.
func (l *lab) soak() string {
	l.t.Helper()
	r, w := io.Pipe()
	l.start(w, "soak", "run", "--axis", "workers=1,2,3,4,5,6", "--trials", "speed,attribution", "--out", "run",
		"--metrics-listen", "127.0.0.1:0")
	found := make(chan string, 1)
	l.wg.Go(func() {
		for lines := bufio.NewScanner(r); lines.Scan(); {
			if u, ok := strings.CutPrefix(lines.Text(), "metrics: "); ok {
				found <- strings.TrimSuffix(u, "/metrics")
			}
		}
	})
	select {
	case u := <-found:
		return u
	case <-l.ctx.Done():
		l.t.Fatal("the soak does not say where its metrics are")
		return ""
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
	cfg := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%s/recording.yml, %s/alerts.yml]\nscrape_configs:\n", abs, abs)
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

// ask returns how many series a query has.
func (l *lab) ask(prom, expr string) (int, error) {
	req, err := http.NewRequestWithContext(l.ctx, http.MethodGet, prom+"/api/v1/query?"+
		url.Values{"query": {expr}}.Encode(), nil)
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
		Data          struct{ Result []json.RawMessage }
	}
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		return 0, err
	}
	if v.Status != "success" {
		return 0, fmt.Errorf("prometheus: %s", v.Error)
	}
	return len(v.Data.Result), nil
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
