// Package decode reads binary profiles as Go writes them, each into the memory of the one before: a recording has
// hundreds, and the pprof package makes each sample, location and function by itself.
//
// Its opinion: what it takes it reads as the pprof package does, and all that is unusual it leaves to that package. It
// is not for samples' labels, which nothing that reads series of profiles asks for.
package decode

import (
	"encoding/binary"
	"strings"

	"github.com/google/pprof/profile"
)

// Decoder decodes profiles one after another. The zero value is ready; it is for one goroutine.
type Decoder struct {
	names map[string]string // one string for all profiles
	size  int               // of the names, in bytes

	profile profile.Profile
	plain   []byte // the profile that is read
	table   []string
	bodies  [fieldPeriodType + 1][]span // of the messages in plain, by field
	numbers [fieldDocURL + 1]uint64

	samples   slab[profile.Sample]
	mappings  slab[profile.Mapping]
	locations slab[profile.Location]
	functions slab[profile.Function]
	lines     []profile.Line
	stacks    []*profile.Location
	values    []int64
}

// span is a part of a profile's bytes.
type span struct{ from, to int32 }

// slab is memory for the messages of one kind. As Go writes them, their ids are 1, 2, 3 and so on.
type slab[T any] struct {
	all []T
	at  []*T
}

// take is memory for n messages, whatever it has in it.
func (s *slab[T]) take(n int) []*T {
	if n > len(s.all) {
		s.all = make([]T, n+n/8)
		s.at = make([]*T, len(s.all))
		for i := range s.all {
			s.at[i] = &s.all[i]
		}
	}
	return s.at[:n:n]
}

// Fields of the message Profile of pprof.
const (
	fieldSampleType  = 1
	FieldSample      = 2
	fieldMapping     = 3
	fieldLocation    = 4
	fieldFunction    = 5
	fieldString      = 6
	fieldDropFrames  = 7
	fieldKeepFrames  = 8
	fieldTime        = 9
	fieldDuration    = 10
	fieldPeriodType  = 11
	fieldPeriod      = 12
	fieldDefaultType = 14
	fieldDocURL      = 15
)

// Bounds of a profile: its samples, locations and functions together, and the locations that its samples name. Each
// becomes some 100 and 16 bytes, so that a file of 128 MiB can't become tens of GiB.
const (
	MaxEntries    = 4_000_000
	MaxReferences = 32_000_000
	// MaxField is the most bytes that one sample, location or string has.
	MaxField = 8 << 20
)

// maxNames is the most bytes of names that a Decoder keeps from one profile to the next.
const maxNames = 16 << 20

// Decode returns the profile, without labels, which is good until the next call; nil for one that Go doesn't write so,
// or that is out of bounds or damaged.
func (d *Decoder) Decode(b []byte) *profile.Profile {
	if !d.outermost(b) || len(d.table) == 0 || d.table[0] != "" {
		return nil
	}
	size := func(field int) int { return len(d.bodies[field]) }
	d.profile = profile.Profile{Sample: d.samples.take(size(FieldSample)), Mapping: d.mappings.take(size(fieldMapping)),
		Location: d.locations.take(size(fieldLocation)), Function: d.functions.take(size(fieldFunction)),
		SampleType: make([]*profile.ValueType, size(fieldSampleType)), PeriodType: &profile.ValueType{}}
	p := &d.profile
	for i := range p.SampleType {
		p.SampleType[i] = &profile.ValueType{}
		if !d.valueType(fieldSampleType, i, p.SampleType[i]) {
			return nil
		}
	}
	for i := range d.bodies[fieldPeriodType] {
		if !d.valueType(fieldPeriodType, i, p.PeriodType) {
			return nil
		}
	}
	n := &d.numbers
	p.TimeNanos, p.DurationNanos, p.Period = int64(n[fieldTime]), int64(n[fieldDuration]), int64(n[fieldPeriod])
	if !d.string(&p.DropFrames, n[fieldDropFrames]) || !d.string(&p.KeepFrames, n[fieldKeepFrames]) ||
		!d.string(&p.DefaultSampleType, n[fieldDefaultType]) || !d.string(&p.DocURL, n[fieldDocURL]) ||
		!d.readMappings() || !d.readFunctions() || !d.readLocations() || !d.readSamples() {
		return nil
	}
	return p
}

// outermost finds the messages, strings and numbers of a profile, and bounds them.
func (d *Decoder) outermost(b []byte) bool {
	if d.size > maxNames || d.names == nil {
		d.names, d.size = map[string]string{}, 0
	}
	d.plain, d.table, d.numbers = b, d.table[:0], [len(d.numbers)]uint64{}
	for i := range d.bodies {
		d.bodies[i] = d.bodies[i][:0]
	}
	entries, references := 0, 0
	for at := 0; at < len(b); entries++ {
		tag := b[at]
		v, n := varint(b[at+1:])
		if at += 1 + n; n <= 0 || tag >= 0x80 {
			return false
		}
		switch num := tag >> 3; {
		case tag&7 == 0 && num >= fieldDropFrames && num != fieldPeriodType && num != 13: // comments
			if num == fieldTime && d.numbers[num] != 0 {
				return false // two profiles one after the other
			}
			d.numbers[num] = v
		case tag&7 == 2 && v <= MaxField && int(v) <= len(b)-at &&
			(num >= fieldSampleType && num <= fieldString || num == fieldPeriodType):
			from := at
			at += int(v)
			if num == fieldString {
				d.table = append(d.table, d.name(b[from:at]))
				continue
			}
			d.bodies[num] = append(d.bodies[num], span{int32(from), int32(at)})
			if num == FieldSample {
				references += int(v)
			}
		default:
			return false
		}
	}
	return entries <= MaxEntries && references <= MaxReferences
}

// name is b as a string.
func (d *Decoder) name(b []byte) string {
	s, ok := d.names[string(b)]
	if !ok {
		s = string(b)
		d.names[s] = s
		d.size += len(s)
	}
	return s
}

// varint is binary.Uvarint, quicker for what has one byte.
func varint(b []byte) (v uint64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return binary.Uvarint(b)
}

// scalars reads a message of numbers alone into v by field; false for any other message.
func scalars(b []byte, v []uint64) bool {
	clear(v)
	for len(b) > 0 {
		num := int(b[0] >> 3)
		x, n := varint(b[1:])
		if n <= 0 || b[0]&0x87 != 0 || num == 0 || num >= len(v) {
			return false
		}
		v[num], b = x, b[1+n:]
	}
	return true
}

// string puts the string of an index into s.
func (d *Decoder) string(s *string, i uint64) bool {
	if i >= uint64(len(d.table)) {
		return false
	}
	*s = d.table[i]
	return true
}

// body is the i-th message of a field.
func (d *Decoder) body(field, i int) []byte {
	at := d.bodies[field][i]
	return d.plain[at.from:at.to]
}

func (d *Decoder) valueType(field, i int, t *profile.ValueType) bool {
	var v [3]uint64
	return scalars(d.body(field, i), v[:]) && d.string(&t.Type, v[1]) && d.string(&t.Unit, v[2])
}

func (d *Decoder) readMappings() bool {
	for i, m := range d.profile.Mapping {
		var v [11]uint64
		*m = profile.Mapping{}
		if !scalars(d.body(fieldMapping, i), v[:]) || v[1] != uint64(i+1) || !d.string(&m.File, v[5]) ||
			!d.string(&m.BuildID, v[6]) || strings.HasPrefix(m.File, "[kernel") { // has one more field
			return false
		}
		m.ID, m.Start, m.Limit, m.Offset = v[1], v[2], v[3], v[4]
		m.HasFunctions, m.HasFilenames, m.HasLineNumbers, m.HasInlineFrames = v[7] != 0, v[8] != 0, v[9] != 0, v[10] != 0
	}
	return true
}

func (d *Decoder) readFunctions() bool {
	for i, f := range d.profile.Function {
		var v [6]uint64
		if !scalars(d.body(fieldFunction, i), v[:]) || v[1] != uint64(i+1) || !d.string(&f.Name, v[2]) ||
			!d.string(&f.SystemName, v[3]) || !d.string(&f.Filename, v[4]) {
			return false
		}
		f.ID, f.StartLine = v[1], int64(v[5])
	}
	return true
}

func (d *Decoder) readLocations() bool {
	d.lines = d.lines[:0]
	for i, l := range d.profile.Location {
		if !d.readLocation(d.body(fieldLocation, i), l) || l.ID != uint64(i+1) {
			return false
		}
	}
	return true
}

// byID is the element with an id, nil for none.
func byID[T any](all []*T, id uint64) *T {
	if id == 0 || id > uint64(len(all)) {
		return nil
	}
	return all[id-1]
}

func (d *Decoder) readLocation(b []byte, l *profile.Location) bool {
	*l = profile.Location{}
	first := len(d.lines)
	for len(b) > 0 {
		tag := b[0]
		x, n := varint(b[1:])
		if n <= 0 {
			return false
		}
		b = b[1+n:]
		switch tag {
		case 1 << 3:
			l.ID = x
		case 2 << 3:
			l.Mapping = byID(d.profile.Mapping, x)
		case 3 << 3:
			l.Address = x
		case 4<<3 | 2:
			var v [4]uint64
			if x > uint64(len(b)) || !scalars(b[:x], v[:]) {
				return false
			}
			f := byID(d.profile.Function, v[1])
			if f == nil {
				return false
			}
			d.lines = append(d.lines, profile.Line{Function: f, Line: int64(v[2]), Column: int64(v[3])})
			b = b[x:]
		case 5 << 3:
			l.IsFolded = x != 0
		default:
			return false
		}
	}
	if n := len(d.lines); n > first {
		l.Line = d.lines[first:n:n]
	}
	return true
}

func (d *Decoder) readSamples() bool {
	d.stacks, d.values = d.stacks[:0], d.values[:0]
	for i, s := range d.profile.Sample {
		stack, value := len(d.stacks), len(d.values)
		if !d.readSample(d.body(FieldSample, i)) || len(d.values)-value != len(d.profile.SampleType) ||
			len(d.values) == value {
			return false
		}
		*s = profile.Sample{Location: d.stacks[stack:len(d.stacks):len(d.stacks)],
			Value: d.values[value:len(d.values):len(d.values)]}
	}
	return true
}

func (d *Decoder) readSample(b []byte) bool {
	for len(b) > 0 {
		tag := b[0]
		x, n := varint(b[1:])
		if n <= 0 {
			return false
		}
		b = b[1+n:]
		switch {
		case tag&7 == 0:
			if !d.add(tag>>3, x) {
				return false
			}
		case tag&7 == 2 && x <= uint64(len(b)):
			body := b[:x]
			b = b[x:]
			if tag>>3 == 3 {
				if !d.label(body) {
					return false
				}
				continue
			}
			for len(body) > 0 {
				v, n := varint(body)
				if n <= 0 || !d.add(tag>>3, v) {
					return false
				}
				body = body[n:]
			}
		default:
			return false
		}
	}
	return true
}

// add takes a location or a value of a sample.
func (d *Decoder) add(field byte, v uint64) bool {
	if field == 2 {
		d.values = append(d.values, int64(v))
		return true
	}
	l := byID(d.profile.Location, v)
	if field != 1 || l == nil {
		return false
	}
	d.stacks = append(d.stacks, l)
	return true
}

// label checks a sample's label.
func (d *Decoder) label(b []byte) bool {
	var v [5]uint64
	var s string
	return scalars(b, v[:]) && d.string(&s, v[1]) && d.string(&s, v[2]) && d.string(&s, v[4])
}
