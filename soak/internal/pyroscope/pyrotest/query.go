package pyrotest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	querier = "/querier.v1.QuerierService/"
	// maxQuery is the longest range of a query. PY012.
	maxQuery = 24 * time.Hour
)

// ask is a request of any method of the querier.
type ask struct {
	Name, ProfileTypeID, LabelSelector string
	Matchers                           []string
	Start, End                         int64
	Step                               float64
}

var typeID = regexp.MustCompile(`^([a-z_]+):([a-z_]+):[a-z]+:[a-z_]*:[a-z]*$`)

// query answers a method of the querier.
func (s *Server) query(w http.ResponseWriter, r *http.Request, method string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	q, kind := ask{}, "application/json"
	if method == "SelectMergeProfile" {
		kind = "application/proto"
		err = q.fields(body)
	} else {
		err = json.Unmarshal(body, &q)
	}
	switch {
	case err != nil:
	case r.Header.Get("Content-Type") != kind:
		err = fmt.Errorf("content type %q", r.Header.Get("Content-Type"))
	case q.Start > q.End || q.End-q.Start > maxQuery.Milliseconds():
		err = errors.New("the query time range exceeds the limit (max_query_length)")
	default:
		var answer []byte
		if answer, err = s.answer(method, q); err == nil {
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(answer)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"code": "invalid_argument", "message": err.Error()})
}

// fields reads a message SelectMergeProfileRequest.
func (q *ask) fields(b []byte) error {
	for len(b) > 0 {
		n, typ, k := protowire.ConsumeTag(b)
		if k < 0 {
			return protowire.ParseError(k)
		}
		b = b[k:]
		var text string
		var number uint64
		if typ == protowire.BytesType {
			text, k = protowire.ConsumeString(b)
		} else {
			number, k = protowire.ConsumeVarint(b)
		}
		if k < 0 {
			return protowire.ParseError(k)
		}
		b = b[k:]
		switch n {
		case 1:
			q.ProfileTypeID = text
		case 2:
			q.LabelSelector = text
		case 3:
			q.Start = int64(number)
		case 4:
			q.End = int64(number)
		default:
			return fmt.Errorf("field %d", n)
		}
	}
	return nil
}

func (s *Server) answer(method string, q ask) ([]byte, error) {
	switch method {
	case "LabelValues":
		return s.labelValues(q)
	case "Series":
		return s.series(q)
	case "GetProfileStats":
		at := oldest(s.Profiles())
		return json.Marshal(map[string]any{"dataIngested": !at.IsZero(),
			"oldestProfileTime": strconv.FormatInt(at.UnixMilli(), 10)})
	}
	m := typeID.FindStringSubmatch(q.ProfileTypeID)
	if m == nil {
		return nil, fmt.Errorf("profile-type selection must be of the form <name>:<sample-type>:..., got %q", q.ProfileTypeID)
	}
	switch method {
	case "SelectSeries":
		return s.totals(q, m)
	case "SelectMergeProfile":
		return s.merge(q, m)
	}
	return nil, fmt.Errorf("no method %s", method)
}

// within are the stored profiles between two times that fit a selector. Profiles have ns, queries ms.
func (s *Server) within(from, until int64, selector string) []Stored {
	return slices.DeleteFunc(s.found(), func(st Stored) bool {
		return st.Time.Before(time.UnixMilli(from)) || st.Time.After(time.UnixMilli(until)) || !st.fits(wanted(selector))
	})
}

// wanted are the labels of a selector.
func wanted(selector string) map[string]string {
	want := map[string]string{}
	for _, p := range matcher.FindAllStringSubmatch(selector, -1) {
		want[p[1]] = p[2]
	}
	return want
}

// total is the sum of a sample type.
func (st *Stored) total(typ string) (sum int64) {
	i := slices.IndexFunc(st.Profile.SampleType, func(t *profile.ValueType) bool { return t.Type == typ })
	for _, sample := range st.Profile.Sample {
		if i >= 0 {
			sum += sample.Value[i]
		}
	}
	return sum
}

// labelValues answers which services hold profiles that fit the matchers.
func (s *Server) labelValues(q ask) ([]byte, error) {
	if q.Name != "service_name" {
		return nil, fmt.Errorf("label %q", q.Name)
	}
	names := []string{}
	for _, st := range s.within(q.Start, q.End, strings.Join(q.Matchers, ",")) {
		if !slices.Contains(names, st.Service) {
			names = append(names, st.Service)
		}
	}
	return json.Marshal(map[string]any{"names": names})
}

// series answers which sets of labels fit the matchers, of one profile type.
func (s *Server) series(q ask) ([]byte, error) {
	want := strings.Join(q.Matchers, ",")
	m := typeID.FindStringSubmatch(wanted(want)["__profile_type__"])
	if m == nil {
		return nil, errors.New("no __profile_type__")
	}
	type label struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	seen, sets := map[string]bool{}, []any{}
	for _, st := range s.within(q.Start, q.End, want) {
		labels := []label{{"service_name", st.Service}}
		for _, k := range slices.Sorted(maps.Keys(st.Labels)) {
			labels = append(labels, label{k, st.Labels[k]})
		}
		if key := fmt.Sprint(labels); st.named(m[1], m[2]) && !seen[key] {
			seen[key] = true
			sets = append(sets, map[string]any{"labels": labels})
		}
	}
	if len(sets) == 0 {
		return []byte("{}"), nil
	}
	return json.Marshal(map[string]any{"labelsSet": sets})
}

// totals answers the sums of steps, each with the end of its step. Steps begin at the first profile. PY014.
func (s *Server) totals(q ask, m []string) ([]byte, error) {
	step := int64(q.Step * 1000)
	if step < 1 {
		return nil, errors.New("step must be >= 1ms")
	}
	sums, first := map[int64]int64{}, int64(-1)
	stored := s.within(q.Start-step, q.End, q.LabelSelector)
	slices.SortFunc(stored, func(a, b Stored) int { return a.Time.Compare(b.Time) })
	for _, st := range stored {
		if !st.named(m[1], m[2]) {
			continue
		}
		ms := st.Time.UnixMilli()
		if first < 0 {
			first = ms
		}
		sums[first+(ms-first+step-1)/step*step] += st.total(m[2])
	}
	if len(sums) == 0 {
		return []byte("{}"), nil
	}
	points := []any{}
	for _, at := range slices.Sorted(maps.Keys(sums)) {
		points = append(points, map[string]any{"value": sums[at], "timestamp": strconv.FormatInt(at, 10)})
	}
	return json.Marshal(map[string]any{"series": []any{map[string]any{"points": points}}})
}

// merge answers the sum of all that fits as one profile, of one sample type and without addresses. PY014.
func (s *Server) merge(q ask, m []string) ([]byte, error) {
	var all []*profile.Profile
	for _, st := range s.within(q.Start, q.End, q.LabelSelector) {
		i := slices.IndexFunc(st.Profile.SampleType, func(t *profile.ValueType) bool { return t.Type == m[2] })
		if !st.named(m[1], m[2]) || i < 0 {
			continue
		}
		p := st.Profile.Copy()
		p.SampleType = p.SampleType[i : i+1]
		for _, x := range p.Sample {
			x.Value = x.Value[i : i+1]
		}
		p.Sample = slices.DeleteFunc(p.Sample, func(x *profile.Sample) bool { return x.Value[0] == 0 })
		for _, l := range p.Location {
			l.Address = 0
		}
		p.TimeNanos = q.End * 1e6
		all = append(all, p)
	}
	if len(all) == 0 {
		return nil, nil
	}
	p, err := profile.Merge(all)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = p.WriteUncompressed(&b)
	return b.Bytes(), err
}
