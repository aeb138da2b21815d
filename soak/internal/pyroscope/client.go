package pyroscope

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/waiting"
	"github.com/memsoak/memsoak/profiles/record"
)

// Client speaks to one Pyroscope server. It is safe for concurrent use.
type Client struct {
	base *url.URL
	http *http.Client
	// wait waits between attempts; tests replace it.
	wait func(context.Context, time.Duration) error
}

// NewClient returns a client for the server at base, such as http://127.0.0.1:4040.
func NewClient(base string) (*Client, error) {
	u, err := url.Parse(strings.TrimRight(base, "/"))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("%q is no address of a Pyroscope server: want http://host:port", base)
	}
	return &Client{base: u, http: &http.Client{Timeout: 30 * time.Second}, wait: waiting.For}, nil
}

// refusal is an answer that says that nothing was stored.
type refusal struct {
	status int
	text   string
	after  time.Duration
}

func (r *refusal) Error() string {
	s := fmt.Sprintf("the server answers %d: %s", r.status, r.text)
	if strings.Contains(r.text, "too old") || strings.Contains(r.text, "older") {
		s += " (a server takes recorded profiles of any age with -validation.reject-older-than=0)"
	}
	return s
}

// errLost is for requests that the server may or may not have stored.
var errLost = errors.New("the answer was lost")

// sampleTypes tell the server what the types of a profile are; they are those of Pyroscope's own Go client.
var sampleTypes = map[string]map[string]any{
	record.HeapDir: {
		"alloc_objects": map[string]any{"units": "objects"}, "alloc_space": map[string]any{"units": "bytes"},
		"inuse_objects": map[string]any{"units": "objects", "aggregation": "average"},
		"inuse_space":   map[string]any{"units": "bytes", "aggregation": "average"},
	},
	record.RoutineDir: {"goroutine": map[string]any{"display-name": "goroutines", "units": "goroutines",
		"aggregation": "average"}},
}

// ingest sends a profile once. A *refusal means it is not stored; errLost, wrapped, that it may be.
func (c *Client) ingest(ctx context.Context, it item, body []byte) error {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	types, err := json.Marshal(sampleTypes[it.kind])
	if err != nil {
		return err
	}
	for _, part := range []struct {
		field, file string
		body        []byte
	}{{"profile", "profile.pprof", body}, {"sample_type_config", "sample_type_config.json", types}} {
		f, err := w.CreateFormFile(part.field, part.file)
		if err != nil {
			return err
		}
		if _, err := f.Write(part.body); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	q := url.Values{"name": {seriesName(it.service, it.labels)}, "spyName": {"gospy"},
		"from": {strconv.FormatInt(it.from.UnixNano(), 10)}, "until": {strconv.FormatInt(it.until.UnixNano(), 10)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.JoinPath("ingest").String()+"?"+q.Encode(), &form)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	switch {
	case resp.StatusCode/100 == 2:
		return nil
	case resp.StatusCode/100 == 4:
		return &refusal{status: resp.StatusCode, text: strings.TrimSpace(string(text)), after: retryAfter(resp.Header)}
	default:
		return fmt.Errorf("%w: the server answers %d: %s", errLost, resp.StatusCode, bytes.TrimSpace(text))
	}
}

func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(n) * time.Second
}

// Attempts and waits of one profile. They add up to about two minutes.
const (
	attempts  = 12
	firstWait = 250 * time.Millisecond
	maxWait   = 15 * time.Second
	maxAsked  = time.Minute
)

// pause is the wait before attempt n: what the server asks for, up to maxAsked, and at least a doubling wait with half
// of it by chance.
func pause(n int, asked time.Duration) time.Duration {
	d := min(maxWait, firstWait<<n)
	return max(min(asked, maxAsked), d/2+rand.N(d/2+1))
}

// typeOf are the names under which a server knows a sample type of a kind of profile, the likeliest first.
func typeOf(kind, sample string) []string {
	if kind == record.RoutineDir {
		return []string{"goroutines:goroutine:count:goroutine:count", "goroutine:goroutine:count:goroutine:count"}
	}
	unit := "bytes"
	if strings.HasSuffix(sample, "_objects") {
		unit = "count"
	}
	return []string{"memory:" + sample + ":" + unit + ":space:bytes"}
}

// stored asks the server for the total of a sample type in one profile's series and time.
func (c *Client) stored(ctx context.Context, it item, sample string) (int64, error) {
	var sum int64
	for _, typ := range typeOf(it.kind, sample) {
		q := url.Values{"query": {typ + selector(it.service, it.labels)}, "format": {"json"},
			"from":  {strconv.FormatInt(it.until.Add(-time.Second).UnixMilli(), 10)},
			"until": {strconv.FormatInt(it.until.Add(time.Second).UnixMilli(), 10)}}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base.JoinPath("pyroscope/render").String()+"?"+
			q.Encode(), nil)
		if err != nil {
			return 0, err
		}
		n, err := c.render(req)
		if err != nil {
			return 0, err
		}
		sum = max(sum, n)
	}
	return sum, nil
}

// queryWindow is the longest range that is asked for in one query: a server takes a day by default. PY012.
const queryWindow = 12 * time.Hour

// services are the names of services that hold profiles which fit the matchers, over a time.
func (c *Client) services(ctx context.Context, from, until time.Time, matchers ...string) ([]string, error) {
	var all []string
	err := windows(from, until, func(from, until time.Time) error {
		var v struct{ Names []string }
		err := c.query(ctx, "LabelValues", map[string]any{"name": "service_name", "matchers": matchers,
			"start": from.UnixMilli(), "end": until.UnixMilli()}, &v)
		all = append(all, v.Names...)
		return err
	})
	slices.Sort(all)
	return slices.Compact(all), err
}

// servicesOf are the services that hold profiles of a run. Asking for them is also how a push learns early that no
// server answers.
func (c *Client) servicesOf(ctx context.Context, run *record.Run) ([]string, error) {
	end := run.Ended
	if end.IsZero() {
		end = time.Now()
	}
	return c.services(ctx, run.Started.Add(-time.Minute), end.Add(time.Minute), `{run_id="`+labelValue(run.ID)+`"}`)
}

// finds reports whether the server finds the oldest profile that it says it has. While it does not, what it has not got
// is not known either. PY016.
func (c *Client) finds(ctx context.Context) (bool, error) {
	var v struct {
		DataIngested      bool
		OldestProfileTime int64 `json:",string"`
	}
	if err := c.query(ctx, "GetProfileStats", struct{}{}, &v); err != nil || !v.DataIngested {
		return err == nil, err
	}
	oldest := time.UnixMilli(v.OldestProfileTime)
	names, err := c.services(ctx, oldest, oldest.Add(time.Second))
	return len(names) > 0, err
}

// render is the total of a query.
func (c *Client) render(req *http.Request) (int64, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("query: the server answers %d: %.200s", resp.StatusCode, bytes.TrimSpace(body))
	}
	var v struct {
		Flamebearer struct {
			NumTicks int64 `json:"numTicks"`
		} `json:"flamebearer"`
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return 0, fmt.Errorf("query: %w", err)
	}
	return v.Flamebearer.NumTicks, nil
}

// mainType is the sample type by which a kind of profile is recognised on the server.
func mainType(kind string) string {
	return cmp.Or(map[string]string{record.HeapDir: "inuse_space", record.RoutineDir: "goroutine"}[kind], kind)
}
