package pyroscope

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"
	"google.golang.org/protobuf/encoding/protowire"
)

// Query is what a server is asked for: the profiles of one process over a time.
type Query struct {
	// Type is the server's name of a profile type, such as memory:inuse_space:bytes:space:bytes. Empty: the live heap,
	// and goroutines where it has them.
	Type string
	// Selector is labels in braces, such as {service_name="cart"}.
	Selector    string
	From, Until time.Time
}

const (
	// pullStep is the time in which a process has one profile at most: totals and profiles are asked for by it. PY014.
	pullStep = time.Second
	// mostPulled is how many profiles of a type are fetched, evenly spread: more make no curve much surer.
	mostPulled = 60
	// maxAnswer bounds an answer in bytes.
	maxAnswer = 128 << 20
	// agreed is by how much a profile may differ from the total that the server names.
	agreed = 0.01
)

// The profile types of a process's memory.
const (
	liveBytes   = "memory:inuse_space:bytes:space:bytes"
	liveObjects = "memory:inuse_objects:count:space:bytes"
)

var (
	queryForm   = regexp.MustCompile(`^([a-z_]+:[a-z_]+:[a-z]+:[a-z_]*:[a-z]*)?(\{[^{}]+\})$`)
	serviceForm = regexp.MustCompile(`^[^{}"\s:]+$`)
)

// ErrQuery is returned, wrapped, for a query that the server can't answer or that needs to be narrower.
var ErrQuery = errors.New("query")

// ParseQuery reads a query: the name of a service, or a selector as the server's interface shows it, with or without a
// profile type before it.
func ParseQuery(s string) (Query, error) {
	if serviceForm.MatchString(s) {
		return Query{Selector: fmt.Sprintf("{service_name=%q}", s)}, nil
	}
	m := queryForm.FindStringSubmatch(s)
	if m == nil {
		return Query{}, fmt.Errorf(`%w %q: want a service's name, or labels such as {service_name="cart"}`, ErrQuery, s)
	}
	return Query{Type: m[1], Selector: m[2]}, nil
}

// Pull writes the profiles of a query into dir, each with its own time, and returns their paths.
func (c *Client) Pull(ctx context.Context, q Query, dir string) ([]string, error) {
	types := [][]string{{cmp.Or(q.Type, liveBytes)}}
	if q.Type == "" {
		types = append(types, typeOf("goroutine", ""))
	}
	var paths []string
	for _, names := range types {
		for _, name := range names {
			q.Type = name
			more, err := c.pullType(ctx, q, dir)
			if err != nil {
				return nil, err
			}
			if paths = append(paths, more...); len(more) > 0 {
				break
			}
		}
	}
	if len(paths) == 0 {
		return nil, c.nothing(ctx, q)
	}
	return paths, nil
}

// nothing is the error of a query that fits no profile, with the services that the server has.
func (c *Client) nothing(ctx context.Context, q Query) error {
	names, err := c.services(ctx, q.From, q.Until)
	if err != nil {
		return err
	}
	have := "it has none of any service then"
	if len(names) > 0 {
		have = "it has services " + some(names)
	}
	return fmt.Errorf("%w: %s has no profile of memory for %s from %s to %s; %s", ErrQuery, c.base.Redacted(), q.Selector,
		q.From.Format(time.RFC3339), q.Until.Format(time.RFC3339), have)
}

// some lists a few names.
func some(names []string) string {
	const most = 5
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}

func (c *Client) pullType(ctx context.Context, q Query, dir string) ([]string, error) {
	var points []point
	err := windows(q.From, q.Until, func(from, until time.Time) error {
		if err := c.oneProcess(ctx, q, from, until); err != nil {
			return err
		}
		more, err := c.points(ctx, q, from, until)
		points = append(points, more...)
		return err
	})
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, p := range spread(points, mostPulled) {
		prof, err := c.pullOne(ctx, q, p)
		if err != nil {
			return nil, err
		}
		kind, _, _ := strings.Cut(q.Type, ":")
		path := filepath.Join(dir, fmt.Sprintf("%s-%d.pb.gz", kind, p.at.UnixMilli()))
		f, err := os.Create(path)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(prof.Write(f), f.Close()); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// windows calls do for the parts of a time that one query may span. PY012.
func windows(from, until time.Time, do func(from, until time.Time) error) error {
	for from.Before(until) {
		end := from.Add(queryWindow)
		if end.After(until) {
			end = until
		}
		if err := do(from, end); err != nil {
			return err
		}
		from = end.Add(pullStep) // both ends belong to a part, and so does the step before its beginning
	}
	return nil
}

// spread keeps n of the points, evenly spread, the first and the last among them.
func spread(all []point, n int) []point {
	if len(all) <= n {
		return all
	}
	out := make([]point, n)
	for i := range n {
		out[i] = all[i*(len(all)-1)/(n-1)]
	}
	return out
}

// oneProcess refuses a query that several series fit: a server adds up what it finds, and a sum of processes that come
// and go has no growth of its own. PY015.
func (c *Client) oneProcess(ctx context.Context, q Query, from, until time.Time) error {
	var v struct {
		LabelsSet []struct {
			Labels []struct{ Name, Value string }
		}
	}
	matcher := strings.TrimSuffix(q.Selector, "}") + fmt.Sprintf(",__profile_type__=%q}", q.Type)
	if err := c.query(ctx, "Series", map[string]any{"matchers": []string{matcher}, "start": from.UnixMilli(),
		"end": until.UnixMilli()}, &v); err != nil || len(v.LabelsSet) < 2 {
		return err
	}
	values := map[string][]string{}
	for _, set := range v.LabelsSet {
		for _, l := range set.Labels {
			if !slices.Contains(values[l.Name], l.Value) {
				values[l.Name] = append(values[l.Name], l.Value)
			}
		}
	}
	differ := ""
	for name, v := range values {
		if len(v) > 1 && (differ == "" || len(v) > len(values[differ]) || len(v) == len(values[differ]) && name < differ) {
			differ = name
		}
	}
	if differ == "" {
		return fmt.Errorf("%w: %d series fit %s, of several processes: narrow it to one", ErrQuery, len(v.LabelsSet),
			q.Selector)
	}
	slices.Sort(values[differ])
	return fmt.Errorf("%w: %d series fit %s, which differ in %s (%s): their sum means nothing, so narrow it to "+
		"one, as {%s=%q}", ErrQuery, len(v.LabelsSet), q.Selector, differ, some(values[differ]), differ, values[differ][0])
}

// point is the stored total of the step that ends at a time.
type point struct {
	at    time.Time
	total float64
}

// points are the totals by time.
func (c *Client) points(ctx context.Context, q Query, from, until time.Time) ([]point, error) {
	var v struct {
		Series []struct {
			Points []struct {
				Value     float64
				Timestamp int64 `json:",string"`
			}
		}
	}
	if err := c.query(ctx, "SelectSeries", map[string]any{"profileTypeID": q.Type, "labelSelector": q.Selector,
		"start": from.UnixMilli(), "end": until.UnixMilli(), "step": pullStep.Seconds()}, &v); err != nil {
		return nil, err
	}
	var out []point
	for _, s := range v.Series {
		for _, p := range s.Points {
			out = append(out, point{time.UnixMilli(p.Timestamp), p.Value})
		}
	}
	return out, nil
}

// pullOne fetches the profile stored in one step, of the live heap with the number of objects.
func (c *Client) pullOne(ctx context.Context, q Query, p point) (*profile.Profile, error) {
	prof, err := c.merged(ctx, q, p)
	if err != nil {
		return nil, err
	}
	sum := 0.0
	for _, s := range prof.Sample {
		sum += float64(s.Value[0])
	}
	if math.Abs(sum-p.total) > agreed*math.Abs(p.total) {
		return nil, fmt.Errorf("%w: the profile of %s has %.0f in all where %s counts %.0f: its limit of nodes for merged "+
			"profiles leaves out places, or several processes are within a second", ErrQuery, p.at.Format(time.RFC3339), sum,
			c.base.Redacted(), p.total)
	}
	prof.TimeNanos = p.at.UnixNano()
	if q.Type == liveBytes {
		q.Type = liveObjects
		objects, err := c.merged(ctx, q, p)
		if err != nil {
			return nil, err
		}
		withObjects(prof, objects)
	}
	return prof, nil
}

// withObjects gives the samples of a heap profile the numbers of objects of the same stacks, where each has one.
func withObjects(prof, objects *profile.Profile) {
	count := map[string]int64{}
	for _, s := range objects.Sample {
		count[stackKey(s)] += s.Value[0]
	}
	for _, s := range prof.Sample {
		if s.Value[0] != 0 && count[stackKey(s)] == 0 {
			return
		}
	}
	prof.SampleType = []*profile.ValueType{{Type: "inuse_objects", Unit: "count"}, {Type: "inuse_space", Unit: "bytes"}}
	for _, s := range prof.Sample {
		key := stackKey(s)
		s.Value = []int64{count[key], s.Value[0]}
		count[key] = 0 // stacks that are the same to this key share it: the first has all
	}
}

// stackKey is a sample's stack by functions and lines.
func stackKey(s *profile.Sample) string {
	var b strings.Builder
	for _, l := range s.Location {
		for _, ln := range l.Line {
			if ln.Function != nil {
				fmt.Fprintf(&b, "%s %d\n", ln.Function.Name, ln.Line)
			}
		}
	}
	return b.String()
}

// The fields of the message SelectMergeProfileRequest.
const (
	mergeType     protowire.Number = 1
	mergeSelector protowire.Number = 2
	mergeStart    protowire.Number = 3
	mergeEnd      protowire.Number = 4
)

// merged is the stored profile of a type in one step, which the server adds up.
func (c *Client) merged(ctx context.Context, q Query, p point) (*profile.Profile, error) {
	var body []byte
	text := func(n protowire.Number, s string) {
		body = protowire.AppendString(protowire.AppendTag(body, n, protowire.BytesType), s)
	}
	ms := func(n protowire.Number, t time.Time) {
		body = protowire.AppendVarint(protowire.AppendTag(body, n, protowire.VarintType), uint64(t.UnixMilli()))
	}
	text(mergeType, q.Type)
	text(mergeSelector, q.Selector)
	ms(mergeStart, p.at.Add(time.Millisecond-pullStep))
	ms(mergeEnd, p.at.Add(time.Millisecond)) // the time of a profile has nanoseconds, that of a step has none
	answer, err := c.ask(ctx, "SelectMergeProfile", "application/proto", body)
	if err != nil {
		return nil, err
	}
	prof, err := profile.ParseUncompressed(answer)
	if err != nil {
		return nil, fmt.Errorf("the profile of %s from %s: %w", p.at.Format(time.RFC3339), c.base.Redacted(), err)
	}
	return prof, prof.CheckValid()
}

// query asks in JSON.
func (c *Client) query(ctx context.Context, method string, request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	text, err := c.ask(ctx, method, "application/json", body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s of %s: no answer of a Pyroscope server: %w", method, c.base.Redacted(), err)
	}
	return nil
}

// ask calls a method of the querier.
func (c *Client) ask(ctx context.Context, method, kind string, body []byte) ([]byte, error) {
	url := c.base.JoinPath("querier.v1.QuerierService", method).String()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", kind)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no Pyroscope server answers at %s: %w", c.base.Redacted(), err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s of %s: %w", method, c.base.Redacted(), err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s of %s: it answers %d: %.200s", method, c.base.Redacted(), resp.StatusCode,
			bytes.TrimSpace(answer))
	case len(answer) > maxAnswer:
		return nil, fmt.Errorf("%s of %s: the answer is larger than %d MiB", method, c.base.Redacted(), maxAnswer>>20)
	}
	return answer, nil
}
