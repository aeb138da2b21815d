// Package pyrotest is a strict stand-in for a Pyroscope server in tests: it takes what a real one takes, refuses what a
// real one refuses, and sums what it is sent twice. The rules are those in the comment of package pyroscope.
package pyrotest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/profile"
)

// Server is the stand-in. Set its fields before it serves. It is safe for concurrent use.
type Server struct {
	// Now is the server's clock; time.Now when nil.
	Now func() time.Time
	// RejectOlderThan is an hour by default; negative takes any age.
	RejectOlderThan time.Duration
	// Burst of bytes per second: more is answered 429. 0 means no limit.
	Rate, Burst int
	// Lose, when not nil, says for the n-th accepted profile (from 0) how its answer is lost: "drop" cuts the
	// connection after storing, "500" answers 500 after storing, "before" answers 500 without storing, "" answers.
	Lose func(n int) string

	// Remember is for how long it remembers which profile is its oldest, and finds no older one. PY016; 0: never.
	Remember time.Duration

	mu       sync.Mutex
	stored   []Stored
	oldest   time.Time // that is remembered; zero: there was none
	renew    time.Time // when it is forgotten
	accepted int
	limited  int
	budget   float64
	last     time.Time
}

// Stored is a profile as it was stored.
type Stored struct {
	Service string
	Labels  map[string]string
	Time    time.Time
	Profile *profile.Profile
	Types   map[string]string // display names by sample type
}

// Profiles are all that was stored.
func (s *Server) Profiles() []Stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.stored)
}

// found are the profiles that queries find.
func (s *Server) found() []Stored {
	all := s.Profiles()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Remember == 0 {
		return all
	}
	if now := s.now(); !now.Before(s.renew) {
		s.oldest, s.renew = oldest(all), now.Add(s.Remember)
	}
	return slices.DeleteFunc(all, func(st Stored) bool { return s.oldest.IsZero() || st.Time.Before(s.oldest) })
}

func oldest(all []Stored) (t time.Time) {
	for _, st := range all {
		if t.IsZero() || st.Time.Before(t) {
			t = st.Time
		}
	}
	return t
}

// Store puts a profile in as if it had been sent.
func (s *Server) Store(st Stored) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = append(s.stored, st)
}

// Limited counts the requests that were answered 429.
func (s *Server) Limited() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limited
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/ingest" && r.Method == http.MethodPost:
		s.ingest(w, r)
	case r.URL.Path == "/pyroscope/render" && r.Method == http.MethodGet:
		s.render(w, r)
	case strings.HasPrefix(r.URL.Path, querier) && r.Method == http.MethodPost:
		s.query(w, r, strings.TrimPrefix(r.URL.Path, querier))
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *Server) ingest(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !s.allow(len(body)) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "ingestion rate limit exceeded", http.StatusTooManyRequests)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	st, err := s.parse(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	s.mu.Lock()
	how := ""
	if s.Lose != nil {
		how = s.Lose(s.accepted)
	}
	s.accepted++
	if how != "before" {
		s.stored = append(s.stored, *st)
	}
	s.mu.Unlock()
	switch how {
	case "drop":
		panic(http.ErrAbortHandler)
	case "500", "before":
		http.Error(w, "internal", http.StatusInternalServerError)
	}
}

// allow is a bucket of Burst bytes that fills at Rate bytes a second.
func (s *Server) allow(n int) bool {
	if s.Rate == 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.last.IsZero() {
		s.budget = float64(s.Burst)
	} else {
		s.budget = min(float64(s.Burst), s.budget+now.Sub(s.last).Seconds()*float64(s.Rate))
	}
	s.last = now
	if float64(n) > s.budget {
		s.limited++
		return false
	}
	s.budget -= float64(n)
	return true
}

// parse reads a request as the server does and checks all that it checks.
func (s *Server) parse(r *http.Request) (*Stored, error) {
	q := r.URL.Query()
	if q.Has("format") {
		return nil, fmt.Errorf("format with a multipart body") // PY009
	}
	for _, name := range []string{"from", "until"} {
		if _, err := strconv.ParseInt(q.Get(name), 10, 64); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if q.Get("spyName") == "" {
		return nil, fmt.Errorf("spyName is missing")
	}
	st := &Stored{}
	var err error
	if st.Service, st.Labels, err = parseName(q.Get("name")); err != nil {
		return nil, err
	}
	if err := r.ParseMultipartForm(32 << 20); err != nil {
		return nil, err
	}
	defer r.MultipartForm.RemoveAll()
	for field := range r.MultipartForm.File {
		if field != "profile" && field != "prev_profile" && field != "sample_type_config" {
			return nil, fmt.Errorf("unknown field %q", field)
		}
	}
	raw, err := field(r, "profile")
	if err != nil {
		return nil, err
	}
	if st.Profile, err = profile.ParseData(raw); err != nil {
		return nil, err
	}
	if err := s.limits(st); err != nil {
		return nil, err
	}
	// PY011: a sample without frames is dropped.
	st.Profile.Sample = slices.DeleteFunc(st.Profile.Sample, func(x *profile.Sample) bool { return len(x.Location) == 0 })
	return st, st.types(r)
}

func field(r *http.Request, name string) ([]byte, error) {
	f, _, err := r.FormFile(name)
	if err != nil {
		return nil, fmt.Errorf("field %s: %w", name, err)
	}
	defer f.Close()
	return io.ReadAll(f)
}

// types reads how the sample types are to be shown: a type without an entry is not stored.
func (st *Stored) types(r *http.Request) error {
	raw, err := field(r, "sample_type_config")
	if err != nil {
		return err
	}
	var cfg map[string]struct {
		Units       string `json:"units"`
		DisplayName string `json:"display-name"`
		Aggregation string `json:"aggregation"`
		Cumulative  bool   `json:"cumulative"`
	}
	if err := json.Unmarshal(raw, &cfg); err != nil {
		return err
	}
	st.Types = map[string]string{}
	for name, c := range cfg {
		st.Types[name] = name
		if c.DisplayName != "" {
			st.Types[name] = c.DisplayName
		}
	}
	return nil
}

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// parseName reads app{k=v,k=v}. Quotes are kept, as by the server; a "-" in a label's name is refused. PY007.
func parseName(name string) (service string, labels map[string]string, err error) {
	service, rest, ok := strings.Cut(name, "{")
	if !ok || !strings.HasSuffix(rest, "}") || service == "" {
		return "", nil, fmt.Errorf("name %q is not app{k=v}", name)
	}
	labels = map[string]string{}
	for pair := range strings.SplitSeq(strings.TrimSuffix(rest, "}"), ",") {
		k, v, ok := strings.Cut(pair, "=")
		if !ok || !labelName.MatchString(k) {
			return "", nil, fmt.Errorf("label %q", pair)
		}
		if _, twice := labels[k]; twice {
			return "", nil, fmt.Errorf("label %s twice", k)
		}
		if len(v) > 2048 {
			return "", nil, fmt.Errorf("label %s is too long", k)
		}
		labels[k] = v
	}
	return service, labels, nil
}

// limits checks times and sizes. PY004, PY008.
func (s *Server) limits(st *Stored) error {
	st.Time = time.Unix(0, st.Profile.TimeNanos)
	oldest := s.RejectOlderThan
	if oldest == 0 {
		oldest = time.Hour
	}
	now := s.now()
	switch {
	case oldest > 0 && st.Time.Before(now.Add(-oldest)):
		return fmt.Errorf("profile with timestamp %s is too old", st.Time.UTC().Format(time.RFC3339))
	case st.Time.After(now.Add(10 * time.Minute)):
		return fmt.Errorf("profile with timestamp %s is too far in the future", st.Time.UTC().Format(time.RFC3339))
	case len(st.Profile.Sample) > 16_000:
		return fmt.Errorf("profile has %d samples", len(st.Profile.Sample))
	case len(st.Labels)+3 > 30: // service_name, __name__ and the type are labels as well
		return fmt.Errorf("%d labels", len(st.Labels))
	}
	var b bytes.Buffer
	if err := st.Profile.WriteUncompressed(&b); err != nil {
		return err
	}
	if b.Len() > 4<<20 {
		return fmt.Errorf("profile of %d bytes", b.Len())
	}
	return nil
}

var query = regexp.MustCompile(`^([a-z_]+):([a-z_]+):([a-z]+):([a-z]*):([a-z]*)\{(.*)\}$`)

var matcher = regexp.MustCompile(`([a-zA-Z_]+)="([^"]*)"`)

// render answers with the sum of every profile that fits, as a flame graph does. PY002, PY005.
func (s *Server) render(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	m := query.FindStringSubmatch(v.Get("query"))
	from, err1 := millis(v, "from")
	until, err2 := millis(v, "until")
	if m == nil || err1 != nil || err2 != nil {
		http.Error(w, "bad query", http.StatusBadRequest)
		return
	}
	var sum int64
	for _, st := range s.found() {
		if !st.Time.Before(from) && !st.Time.After(until) && st.fits(wanted(m[6])) && st.named(m[1], m[2]) {
			sum += st.total(m[2])
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"version": 1, "flamebearer": map[string]any{"names": []string{"total"},
		"levels": [][]int64{{0, sum, 0, 0}}, "numTicks": sum}})
}

func (st *Stored) fits(want map[string]string) bool {
	for k, v := range want {
		if (k == "service_name" && st.Service != v) || (k != "service_name" && k != "__profile_type__" && st.Labels[k] != v) {
			return false
		}
	}
	return true
}

// named reports whether a profile type of a query is that of the profile: heap types are "memory".
func (st *Stored) named(name, typ string) bool {
	shown, ok := st.Types[typ]
	if !ok {
		return false
	}
	return name == "memory" && typ != "goroutine" || name == shown
}

func millis(v url.Values, name string) (time.Time, error) {
	n, err := strconv.ParseInt(v.Get(name), 10, 64)
	return time.UnixMilli(n), err
}
