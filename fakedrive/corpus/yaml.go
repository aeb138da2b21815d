package corpus

import (
	"errors"
	"fmt"
	"maps"
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
		return nil, at(nil, "", "the spec is empty")
	}
	d := &specDecoder{at: map[string]*token.Token{}}
	spec := &Spec{}
	if err := d.mapping("", body, d.specFields(spec)); err != nil {
		return nil, err
	}
	err = spec.Validate()
	if d.at["fan_out"] != nil && spec.FanOut == 0 { // in a Spec, 0 is the default
		err = fieldErrorf("fan_out", "want 1 to %d, have 0; leave it out for the default", MaxFolders)
	}
	var field *FieldError
	if errors.As(err, &field) {
		return nil, d.locate(field)
	}
	return spec, nil
}

// specDecoder reads a spec from a parsed document. It remembers where each field was written.
type specDecoder struct {
	at map[string]*token.Token
}

// at makes the error of a field, "" for the whole spec, with its position.
func at(tk *token.Token, field, format string, args ...any) error {
	e := &SpecError{1, 1, fmt.Sprintf(format, args...)}
	if field != "" {
		e.Msg = field + ": " + e.Msg
	}
	if tk != nil && tk.Position != nil {
		e.Line, e.Column = max(tk.Position.Line, 1), max(tk.Position.Column, 1)
	}
	return e
}

// locate gives a problem of a field the position of the field, or of the nearest field around it that was written.
func (d *specDecoder) locate(e *FieldError) error {
	near := e.Field
	for d.at[near] == nil && near != "" {
		near = near[:max(strings.LastIndexAny(near, ".["), 0)]
	}
	return at(d.at[near], e.Field, "%s", e.Msg)
}

// reader reads the value of a field.
type reader = func(field string, n ast.Node) error

// fields says how to read each key of a mapping.
type fields map[string]reader

func (f fields) names() string { return strings.Join(slices.Sorted(maps.Keys(f)), ", ") }

func (d *specDecoder) specFields(s *Spec) fields {
	return fields{
		"name":         text(&s.Name),
		"seed":         seed(&s.Seed),
		"files":        read(&s.Files, "a whole number", parseInteger),
		"folders":      read(&s.Folders, "a whole number", parseInteger),
		"depth":        small(&s.Depth),
		"fan_out":      small(&s.FanOut),
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

// mapping reads a mapping whose place in the spec is field. The needed keys have to be in it.
func (d *specDecoder) mapping(field string, n ast.Node, known fields, needed ...string) error {
	m, ok := n.(ast.MapNode)
	if !ok {
		return at(n.GetToken(), field, "want a mapping, have %s", describe(n))
	}
	for it := m.MapRange(); it.Next(); {
		key := it.Key().GetToken()
		read, ok := known[key.Value]
		if !ok {
			return at(key, field, "unknown key %q; there are %s", key.Value, known.names())
		}
		child := strings.TrimPrefix(field+"."+key.Value, ".")
		d.at[child] = key
		if err := read(child, it.Value()); err != nil {
			return err
		}
	}
	for _, name := range needed {
		if d.at[field+"."+name] == nil {
			return at(d.at[field], field, "%s is missing", name)
		}
	}
	return nil
}

func describe(n ast.Node) string { return strings.ToLower(n.Type().String()) }

// read makes a reader of a number or text; want is what the field takes.
func read[T any](to *T, want string, parse func(string) (T, error)) reader {
	return func(field string, n ast.Node) (err error) {
		switch n.(type) {
		case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode:
		default:
			return at(n.GetToken(), field, "want %s, have %s", want, describe(n))
		}
		s := strings.TrimSpace(n.GetToken().Value)
		if *to, err = parse(s); err != nil {
			return at(n.GetToken(), field, "want %s, have %q", want, s)
		}
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

func small(to *int) reader {
	return read(to, "a whole number", func(s string) (int, error) { return strconv.Atoi(plainDigits(s)) })
}

func seed(to *uint64) reader {
	return read(to, "a whole number from 0 on", func(s string) (uint64, error) {
		return strconv.ParseUint(plainDigits(s), 10, 64)
	})
}

func parseFloat(s string) (float64, error) { return strconv.ParseFloat(s, 64) }

func float(to *float64) reader { return read(to, "a number", parseFloat) }

func byteCount(to *int64) reader {
	return read(to, "a size such as 64KiB", func(s string) (int64, error) { return units.ParseBytes(plainDigits(s)) })
}

func amount(to *Amount) reader {
	return read(to, "a number or a percentage", func(s string) (a Amount, err error) {
		if number, percent := strings.CutSuffix(s, "%"); percent {
			a.Percent, err = parseFloat(strings.TrimSpace(number))
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
	fixed := read(to, "a size such as 64KiB or a distribution", func(s string) (Size, error) {
		v, err := units.ParseBytes(strings.TrimPrefix(s, "fixed "))
		return Fixed(v), err
	})
	return func(field string, n ast.Node) error {
		if _, ok := n.(ast.MapNode); ok {
			return d.distribution(field, n, to, fields{"classes": d.classes(to)})
		}
		return fixed(field, n)
	}
}

// distribution reads a mapping with exactly one distribution: a key of those below or of more, where share is none.
func (d *specDecoder) distribution(field string, n ast.Node, to *Size, more fields, needed ...string) error {
	known := fields{
		"fixed":     byteCount(&to.Bytes),
		"uniform":   d.params(to, UniformSize, fields{}),
		"lognormal": d.params(to, LognormalSize, fields{"median": byteCount(&to.Median), "sigma": float(&to.Sigma)}),
		"pareto":    d.params(to, ParetoSize, fields{"alpha": float(&to.Alpha)}),
	}
	maps.Copy(known, more)
	if err := d.mapping(field, n, known, needed...); err != nil {
		return err
	}
	have := 0
	for name := range known {
		if name != "share" && d.at[field+"."+name] != nil {
			have++
		}
	}
	if have != 1 {
		return at(d.at[field], field, "want one distribution, have %d; there are %s", have, known.names())
	}
	return nil
}

// params reads the parameters of a distribution. All but min are needed.
func (d *specDecoder) params(to *Size, kind Distribution, known fields) reader {
	known["max"] = byteCount(&to.Max)
	needed := slices.Sorted(maps.Keys(known))
	known["min"] = byteCount(&to.Min)
	return func(field string, n ast.Node) error {
		to.Distribution = kind
		around := field[:strings.LastIndexByte(field, '.')+1]
		err := d.mapping(field, n, known, needed...)
		for name := range known { // Validate doesn't name the distribution: size.min is size.lognormal.min
			d.at[around+name] = d.at[field+"."+name]
		}
		return err
	}
}

func (d *specDecoder) classes(to *Size) reader {
	return func(field string, n ast.Node) error {
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			return at(n.GetToken(), field, "want a list, have %s", describe(n))
		}
		*to = Mixed(make([]Class, len(list.Values))...)
		for i, v := range list.Values {
			c, name := &to.Classes[i], fmt.Sprintf("%s[%d]", field, i)
			d.at[name] = v.GetToken()
			if err := d.distribution(name, v, &c.Size, fields{"share": float(&c.Share)}, "share"); err != nil {
				return err
			}
		}
		return nil
	}
}
