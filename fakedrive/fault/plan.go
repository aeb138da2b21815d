package fault

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/units"
)

// Op is an operation of the fake's service as rules name it ("download", "put").
type Op string

// OpAccept is the acceptance of a connection; both fakes have it.
const OpAccept Op = "accept"

// Plan is what a fake does to its clients. The zero Plan does nothing. The same plan strikes the same attempts at the
// same operations on the same files, whatever their order, but for the rules with Skip or Limit, which count.
type Plan struct {
	// Seed changes which attempts the rules with a probability strike.
	Seed uint64 `json:"seed,omitempty" yaml:"seed,omitempty"`
	// Bandwidth limits body bytes.
	Bandwidth Bandwidth `json:"bandwidth,omitzero" yaml:"bandwidth,omitempty"`
	// Quotas are looked at before the rules, in order.
	Quotas []Quota `json:"quotas,omitempty" yaml:"quotas,omitempty"`
	// Rules are tried in order. Their latencies add up; the first that strikes with anything else ends the search.
	Rules []Rule `json:"rules,omitempty" yaml:"rules,omitempty"`
}

// Bandwidth is in bytes per second; 0 is without limit.
type Bandwidth struct {
	Stream Size `json:"stream,omitempty" yaml:"stream,omitempty"` // of each transfer
	Total  Size `json:"total,omitempty" yaml:"total,omitempty"`   // of all together
}

// Quota answers with an error what goes beyond so many requests in a minute. A minute starts with the first request.
type Quota struct {
	Ops       []Op       `json:"ops,omitempty" yaml:"ops,omitempty"` // none: all, together
	PerMinute int64      `json:"per_minute" yaml:"per_minute"`
	Error     ErrorReply `json:"error" yaml:"error"`
}

// Rule strikes requests: with latency, and with at most one of the other effects.
type Rule struct {
	Name string `json:"name,omitempty" yaml:"name,omitempty"`

	// Which requests: of these operations (none: all but accept), on files whose name matches this glob (path.Match;
	// none: all).
	Ops   []Op   `json:"ops,omitempty" yaml:"ops,omitempty"`
	Files string `json:"files,omitempty" yaml:"files,omitempty"`
	// Attempts strikes only the first so many attempts at an operation on a file; 0 strikes each. An attempt that
	// nothing strikes ends the count: the next is the first again.
	Attempts int `json:"attempts,omitempty" yaml:"attempts,omitempty"`
	// Probability is the share of matching attempts that is struck; 0 means 1.
	Probability float64 `json:"probability,omitempty" yaml:"probability,omitempty"`
	// Skip lets the first so many matching requests pass; Limit ends the rule after so many strikes (0: never).
	Skip  int64 `json:"skip,omitempty" yaml:"skip,omitempty"`
	Limit int64 `json:"limit,omitempty" yaml:"limit,omitempty"`

	// Latency delays the request, by up to Jitter more.
	Latency Duration `json:"latency,omitempty" yaml:"latency,omitempty"`
	Jitter  Duration `json:"jitter,omitempty" yaml:"jitter,omitempty"`

	Error *ErrorReply `json:"error,omitempty" yaml:"error,omitempty"` // answers with an error
	// cuts the connection with a TCP reset
	Reset     *Place    `json:"reset,omitempty" yaml:"reset,omitempty"`
	Stall     *Stall    `json:"stall,omitempty" yaml:"stall,omitempty"`           // moves nothing for a while
	Truncate  *Truncate `json:"truncate,omitempty" yaml:"truncate,omitempty"`     // ends a download's body early
	Flip      *Place    `json:"flip,omitempty" yaml:"flip,omitempty"`             // inverts a bit of a body byte
	Change    bool      `json:"change,omitempty" yaml:"change,omitempty"`         // the file is another than was listed
	EmptyPage bool      `json:"empty_page,omitempty" yaml:"empty_page,omitempty"` // an empty list page with a token
	// so many entries of a page come twice
	Duplicates int `json:"duplicates,omitempty" yaml:"duplicates,omitempty"`
}

// ErrorReply is an error as the service gives it.
type ErrorReply struct {
	// Status may be absent for a reason that the fake knows.
	Status  int    `json:"status,omitempty" yaml:"status,omitempty"`
	Reason  string `json:"reason,omitempty" yaml:"reason,omitempty"`
	Message string `json:"message,omitempty" yaml:"message,omitempty"`
	// RetryAfter is sent as Retry-After, in whole seconds rounded up.
	RetryAfter Duration `json:"retry_after,omitempty" yaml:"retry_after,omitempty"`
	// BodySize pads the error's body with spaces up to this size.
	BodySize Size `json:"body_size,omitempty" yaml:"body_size,omitempty"`
}

// The values of Place.At.
const (
	AtStart = "start" // the request has arrived, nothing is done
	AtBody  = "body"  // a body byte, see Offset and After
	AtEnd   = "end"   // all is done (an upload is stored), the reply or the end of the body is not sent
)

// Place is where in a request's life a fault strikes.
type Place struct {
	// At is AtStart, AtBody or AtEnd. Default: AtBody with Offset or After, else AtStart.
	At string `json:"at,omitempty" yaml:"at,omitempty"`
	// Offset is a byte of the file: a transfer of a range that doesn't have it is not struck.
	Offset Size `json:"offset,omitempty" yaml:"offset,omitempty"`
	// After counts the body bytes of this transfer instead.
	After Size `json:"after,omitempty" yaml:"after,omitempty"`
}

// Stall moves nothing For that long, then continues. Default 10 minutes; a client that gives up ends it.
type Stall struct {
	Place `yaml:",inline"`
	For   Duration `json:"for,omitempty" yaml:"for,omitempty"`
}

// The values of Truncate.Framing: how the end of a body is marked.
const (
	FramingLength  = "content-length" // the client sees too few bytes
	FramingChunked = "chunked"        // the client misses the last chunk
	FramingClose   = "close"          // the connection ends the body: the client sees no error
)

// Truncate ends a download's body at its place. The reply is framed as Framing says (default FramingLength).
type Truncate struct {
	Place   `yaml:",inline"`
	Framing string `json:"framing,omitempty" yaml:"framing,omitempty"`
}

// Size is a number of bytes that reads as text: "10MiB", "4096".
type Size int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(b []byte) error {
	n, err := units.ParseBytes(string(b))
	if err != nil {
		return err
	}
	*s = Size(n)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(s), 10), nil }

// body says whether the place is a body byte.
func (p *Place) body() bool { return p.at() == AtBody }

func (p *Place) at() string {
	switch {
	case p.At != "":
		return p.At
	case p.Offset != 0 || p.After != 0:
		return AtBody
	default:
		return AtStart
	}
}

// flaw describes a mistake in a plan, and where: the path of a field in goccy's path language.
type flaw struct{ path, msg string }

func (f *flaw) Error() string { return strings.TrimPrefix(f.path, "$.") + ": " + f.msg }

// check finds the first flaw of the plan for a fake of these options, and fills in what may be absent.
func (p *Plan) check(o *Options) *flaw {
	for i := range p.Quotas {
		q, at := &p.Quotas[i], fmt.Sprintf("$.quotas[%d]", i)
		if q.PerMinute <= 0 {
			return &flaw{at + ".per_minute", "must be positive"}
		}
		if f := checkOps(q.Ops, at, o); f != nil {
			return f
		}
		if f := q.Error.check(at+".error", o); f != nil {
			return f
		}
	}
	for i := range p.Rules {
		if f := p.Rules[i].check(fmt.Sprintf("$.rules[%d]", i), o); f != nil {
			return f
		}
	}
	return nil
}

func checkOps(ops []Op, at string, o *Options) *flaw {
	for i, op := range ops {
		if op != OpAccept && !slices.Contains(o.Ops, op) {
			return &flaw{fmt.Sprintf("%s.ops[%d]", at, i), fmt.Sprintf("unknown operation %q; this fake has %s", op,
				joinOps(o.Ops))}
		}
	}
	return nil
}

func joinOps(ops []Op) string {
	var b strings.Builder
	for _, op := range ops {
		b.WriteString(string(op))
		b.WriteString(", ")
	}
	return b.String() + string(OpAccept)
}

func (r *Rule) check(at string, o *Options) *flaw {
	if f := checkOps(r.Ops, at, o); f != nil {
		return f
	}
	if _, err := path.Match(r.Files, ""); err != nil {
		return &flaw{at + ".files", "malformed glob"}
	}
	if !(r.Probability >= 0 && r.Probability <= 1) {
		return &flaw{at + ".probability", "must be between 0 and 1"}
	}
	for _, n := range []struct {
		field string
		v     int64
	}{{"attempts", int64(r.Attempts)}, {"skip", r.Skip}, {"limit", r.Limit}, {"latency", int64(r.Latency)},
		{"jitter", int64(r.Jitter)}, {"duplicates", int64(r.Duplicates)}} {
		if n.v < 0 {
			return &flaw{at + "." + n.field, "must not be negative"}
		}
	}
	effects := r.effects()
	for _, e := range effects {
		if slices.Contains(o.Lacks, e) {
			return &flaw{at + "." + e, "this fake has no " + e}
		}
	}
	if len(effects) > 1 {
		return &flaw{at + "." + effects[1], "a rule has one effect beside latency, and there is " + effects[0] + " already"}
	}
	if len(effects) == 0 && r.Latency == 0 && r.Jitter == 0 {
		return &flaw{at, "the rule has no effect; give it one of latency, error, reset, stall, truncate, flip, change, " +
			"empty_page, duplicates"}
	}
	return r.checkEffect(at, o)
}

// effects names the rule's effects beside latency.
func (r *Rule) effects() []string {
	var e []string
	for _, x := range []struct {
		name string
		set  bool
	}{{"error", r.Error != nil}, {"reset", r.Reset != nil}, {"stall", r.Stall != nil}, {"truncate", r.Truncate != nil},
		{"flip", r.Flip != nil}, {"change", r.Change}, {"empty_page", r.EmptyPage}, {"duplicates", r.Duplicates > 0}} {
		if x.set {
			e = append(e, x.name)
		}
	}
	return e
}

func (r *Rule) checkEffect(at string, o *Options) *flaw {
	accept := slices.Contains(r.Ops, OpAccept)
	if accept && len(r.Ops) > 1 {
		return &flaw{at + ".ops", "accept goes alone"}
	}
	if accept && len(r.effects()) > 0 && (r.Reset == nil || r.Reset.at() != AtStart) {
		return &flaw{at + ".ops", "accept takes latency, or a reset at its start"}
	}
	switch {
	case r.Error != nil:
		return r.Error.check(at+".error", o)
	case r.Reset != nil:
		return r.Reset.check(at + ".reset")
	case r.Stall != nil:
		if r.Stall.For < 0 {
			return &flaw{at + ".stall.for", "must not be negative"}
		}
		if r.Stall.For == 0 {
			r.Stall.For = Duration(10 * time.Minute)
		}
		return r.Stall.check(at + ".stall")
	case r.Truncate != nil:
		return r.Truncate.check(at + ".truncate")
	case r.Flip != nil:
		if r.Flip.At == "" {
			r.Flip.At = AtBody
		}
		if !r.Flip.body() {
			return &flaw{at + ".flip.at", "a flip strikes a body byte"}
		}
		return r.Flip.check(at + ".flip")
	}
	return nil
}

func (t *Truncate) check(at string) *flaw {
	switch t.Framing {
	case "":
		t.Framing = FramingLength
	case FramingLength, FramingChunked, FramingClose:
	default:
		return &flaw{at + ".framing", fmt.Sprintf("must be %s, %s or %s", FramingLength, FramingChunked, FramingClose)}
	}
	if t.At == "" {
		t.At = AtBody
	}
	if !t.body() {
		return &flaw{at + ".at", "a truncation strikes a body byte"}
	}
	return t.Place.check(at)
}

func (p *Place) check(at string) *flaw {
	switch {
	case !slices.Contains([]string{"", AtStart, AtBody, AtEnd}, p.At):
		return &flaw{at + ".at", fmt.Sprintf("must be %s, %s or %s", AtStart, AtBody, AtEnd)}
	case p.Offset != 0 && p.After != 0:
		return &flaw{at + ".after", "offset and after exclude each other"}
	case !p.body() && (p.Offset != 0 || p.After != 0):
		return &flaw{at + ".at", "offset and after are for at: body"}
	}
	return nil
}

// maxErrorBody bounds an error's body: enough to hurt a client that reads it whole.
const maxErrorBody = 4 << 30

func (e *ErrorReply) check(at string, o *Options) *flaw {
	if e.Status == 0 {
		e.Status = o.Reasons[e.Reason]
	}
	switch {
	case e.Status == 0 && e.Reason == "":
		return &flaw{at, "needs a status or a reason"}
	case e.Status == 0:
		return &flaw{at + ".reason", fmt.Sprintf("reason %q is not known here: give a status with it", e.Reason)}
	case e.Status < 400 || e.Status > 599:
		return &flaw{at + ".status", "must be between 400 and 599"}
	case e.RetryAfter < 0:
		return &flaw{at + ".retry_after", "must not be negative"}
	case e.BodySize > maxErrorBody:
		return &flaw{at + ".body_size", "must be at most 4 GiB"}
	}
	return nil
}
