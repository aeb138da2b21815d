package corpus

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/internal/units"
)

// SpecError is a problem of a spec's text.
type SpecError struct {
	Line, Column int // from 1 on
	Msg          string
}

// Error implements error. It is one line.
func (e *SpecError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Msg)
}

// ParseSpec reads a spec from YAML and validates it. Errors are of type *SpecError. The text of the presets shows
// every key; sizes have units (B, kB, MB, KiB, MiB ...), amounts are numbers or percentages.
func ParseSpec(text []byte) (*Spec, error) {
	body, err := bounded.Document(text, bounded.Corpus)
	if err != nil {
		line, column, msg := bounded.At(err)
		return nil, &SpecError{line, column, msg}
	}
	if body == nil {
		return nil, at(nil, "the spec is empty")
	}
	d := &specDecoder{at: map[string]*token.Token{}}
	spec := &Spec{}
	if err := d.mapping("", body, d.specFields(spec)); err != nil {
		return nil, err
	}
	var field *FieldError
	if err := spec.Validate(); errors.As(err, &field) {
		return nil, d.locate(field)
	}
	return spec, nil
}

// specDecoder reads a spec from a parsed document. It remembers where each field was written.
type specDecoder struct {
	at map[string]*token.Token
}

func at(tk *token.Token, format string, args ...any) error {
	e := &SpecError{1, 1, fmt.Sprintf(format, args...)}
	if tk != nil && tk.Position != nil {
		e.Line, e.Column = max(tk.Position.Line, 1), max(tk.Position.Column, 1)
	}
	return e
}

// locate gives a problem of a field the position of the field, or of the nearest field around it that was written.
func (d *specDecoder) locate(e *FieldError) error {
	for field := e.Field; ; {
		if tk := d.at[field]; tk != nil {
			return at(tk, "%s", e)
		}
		cut := strings.LastIndexAny(field, ".[")
		if cut < 0 {
			return at(nil, "%s", e)
		}
		field = field[:cut]
	}
}

func parent(field string) string { return field[:strings.LastIndexByte(field, '.')] }

// fields says how to read each key of a mapping.
type fields map[string]reader

func (d *specDecoder) specFields(s *Spec) fields {
	return fields{
		"name":         text(&s.Name),
		"seed":         seed(&s.Seed),
		"files":        integer(&s.Files),
		"folders":      integer(&s.Folders),
		"depth":        small(&s.Depth),
		"fan_out":      d.fanOut(&s.FanOut),
		"spread":       choice(&s.Spread, map[string]Spread{"varied": Varied, "even": Even}),
		"place":        choice(&s.Place, map[string]Place{"everywhere": Everywhere, "deepest": Deepest}),
		"size":         d.size(&s.Size),
		"export_size":  d.size(&s.ExportSize),
		"kinds":        d.amounts(s.kindAmounts()),
		"flags":        d.amounts(append(s.flagAmounts(), s.folderAmounts()...)),
		"names":        d.amounts(s.nameAmounts()),
		"shared_drive": text(&s.SharedDrive),
	}
}

// fanOut is small for a number that can't be none: 0 in a Spec is what a file leaves out.
func (d *specDecoder) fanOut(to *int) reader {
	read := small(to)
	return func(field string, n ast.Node) error {
		err := read(field, n)
		if err == nil && *to == 0 {
			return at(n.GetToken(), "%s: want 1 to %d, have 0; leave it out for the default", field, MaxFolders)
		}
		return err
	}
}

// mapping reads a mapping whose place in the spec is field.
func (d *specDecoder) mapping(field string, n ast.Node, known fields) error {
	m, ok := n.(ast.MapNode)
	if !ok {
		return at(n.GetToken(), "%swant a mapping, have %s", prefixed(field), describe(n))
	}
	for it := m.MapRange(); it.Next(); {
		key := it.Key().GetToken()
		read, ok := known[key.Value]
		if !ok {
			return at(key, "%sunknown key %q; there are %s", prefixed(field), key.Value, known.names())
		}
		child := strings.TrimPrefix(field+"."+key.Value, ".")
		d.at[child] = key
		if err := read(child, it.Value()); err != nil {
			return err
		}
	}
	return nil
}

func (f fields) names() string { return strings.Join(slices.Sorted(maps.Keys(f)), ", ") }

func prefixed(field string) string {
	if field == "" {
		return ""
	}
	return field + ": "
}

func describe(n ast.Node) string { return strings.ToLower(n.Type().String()) }

// scalar returns the text of a number or string.
func scalar(field, want string, n ast.Node) (string, error) {
	switch n.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode:
		return strings.TrimSpace(n.GetToken().Value), nil
	}
	return "", at(n.GetToken(), "%s: want %s, have %s", field, want, describe(n))
}

// reader reads the value of a field.
type reader = func(field string, n ast.Node) error

// read makes a reader of a number or text; want is what the field takes.
func read[T any](to *T, want string, parse func(string) (T, error)) reader {
	return func(field string, n ast.Node) error {
		s, err := scalar(field, want, n)
		if err != nil {
			return err
		}
		v, err := parse(s)
		if err != nil {
			return at(n.GetToken(), "%s: want %s, have %q", field, want, s)
		}
		*to = v
		return nil
	}
}

func text(to *string) reader {
	return read(to, "a text", func(s string) (string, error) { return s, nil })
}

func choice[T any](to *T, values map[string]T) reader {
	want := strings.Join(slices.Sorted(maps.Keys(values)), " or ")
	return read(to, want, func(s string) (T, error) {
		v, ok := values[s]
		if !ok {
			return v, errors.ErrUnsupported
		}
		return v, nil
	})
}

func plainDigits(s string) string { return strings.ReplaceAll(s, "_", "") }

func parseInteger(s string) (int64, error) { return strconv.ParseInt(plainDigits(s), 10, 64) }

func integer(to *int64) reader { return read(to, "a whole number", parseInteger) }

func small(to *int) reader {
	return read(to, "a whole number", func(s string) (int, error) {
		v, err := parseInteger(s)
		return int(min(max(v, math.MinInt32), math.MaxInt32)), err
	})
}

func seed(to *uint64) reader {
	return read(to, "a whole number from 0 on", func(s string) (uint64, error) {
		return strconv.ParseUint(plainDigits(s), 10, 64)
	})
}

func float(to *float64) reader {
	return read(to, "a number", func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
}

func byteCount(to *int64) reader {
	return read(to, "a size such as 64KiB", func(s string) (int64, error) { return units.ParseBytes(plainDigits(s)) })
}

func amount(to *Amount) reader {
	return read(to, "a number or a percentage", func(s string) (a Amount, err error) {
		if number, percent := strings.CutSuffix(s, "%"); percent {
			a.Percent, err = strconv.ParseFloat(strings.TrimSpace(number), 64)
		} else {
			a.Count, err = parseInteger(s)
		}
		return a, err
	})
}

func (d *specDecoder) amounts(group []namedAmount) reader {
	known := fields{}
	for _, f := range group {
		_, key, _ := strings.Cut(f.field, ".")
		known[key] = amount(f.a)
	}
	return func(field string, n ast.Node) error { return d.mapping(field, n, known) }
}

// size reads a size distribution: a size, "fixed SIZE", or a mapping with the distribution as its one key.
func (d *specDecoder) size(to *Size) reader {
	return func(field string, n ast.Node) error {
		if _, ok := n.(ast.MapNode); ok {
			return d.distribution(field, n, d.distributions(to, true))
		}
		return read(to, "a size such as 64KiB or a distribution", func(s string) (Size, error) {
			v, err := units.ParseBytes(strings.TrimPrefix(s, "fixed "))
			return Fixed(v), err
		})(field, n)
	}
}

// distributions returns how to read each distribution.
func (d *specDecoder) distributions(to *Size, mixed bool) fields {
	params := func(kind Distribution, known fields) reader {
		return func(field string, n ast.Node) error {
			to.Distribution = kind
			if err := d.mapping(field, n, known); err != nil {
				return err
			}
			for _, name := range slices.Sorted(maps.Keys(known)) {
				if d.at[field+"."+name] == nil && name != "min" {
					return at(d.at[field], "%s: %s is missing", field, name)
				}
				// Validate knows no distributions' keys: size.min stands for size.lognormal.min.
				d.at[parent(field)+"."+name] = d.at[field+"."+name]
			}
			return nil
		}
	}
	cut := func(more fields) fields {
		more["min"], more["max"] = byteCount(&to.Min), byteCount(&to.Max)
		return more
	}
	all := fields{
		"fixed":     byteCount(&to.Bytes),
		"uniform":   params(UniformSize, cut(fields{})),
		"lognormal": params(LognormalSize, cut(fields{"median": byteCount(&to.Median), "sigma": float(&to.Sigma)})),
		"pareto":    params(ParetoSize, cut(fields{"alpha": float(&to.Alpha)})),
	}
	if mixed {
		all["classes"] = d.classes(to)
	}
	return all
}

// distribution reads a mapping that has exactly one of the distributions' keys.
func (d *specDecoder) distribution(field string, n ast.Node, known fields) error {
	if err := d.mapping(field, n, known); err != nil {
		return err
	}
	have := 0
	for name := range known {
		if name != "share" && d.at[field+"."+name] != nil {
			have++
		}
	}
	if have != 1 {
		return at(d.at[field], "%s: want one distribution, have %d; there are %s", field, have, known.names())
	}
	return nil
}

func (d *specDecoder) classes(to *Size) reader {
	return func(field string, n ast.Node) error {
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			return at(n.GetToken(), "%s: want a list, have %s", field, describe(n))
		}
		if len(list.Values) > maxClasses {
			return at(n.GetToken(), "%s: want 1 to %d classes, have %d", field, maxClasses, len(list.Values))
		}
		to.Distribution = MixedSize
		to.Classes = make([]Class, len(list.Values))
		for i, v := range list.Values {
			c := &to.Classes[i]
			known := d.distributions(&c.Size, false)
			known["share"] = float(&c.Share)
			name := fmt.Sprintf("%s[%d]", field, i)
			d.at[name] = v.GetToken()
			if err := d.distribution(name, v, known); err != nil {
				return err
			}
			if d.at[name+".share"] == nil {
				return at(v.GetToken(), "%s: share is missing", name)
			}
		}
		return nil
	}
}
