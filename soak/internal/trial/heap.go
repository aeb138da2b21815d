package trial

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/klauspost/compress/gzip"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/memsoak/memsoak/profiles/capture"
)

// liveReader adds up the live heap of profiles. A profile is scanned and not built, for half the time and a hundredth
// of the memory of a full parser: it is done at every snapshot, beside a subject at work. It keeps its buffers and is
// for one goroutine.
type liveReader struct {
	zip gzip.Reader
	buf bytes.Buffer
}

// bytes is the live heap of a gzipped heap profile: the sum over its sites, those of the profile's own writing left
// out.
func (r *liveReader) bytes(data []byte) (int64, error) {
	if err := r.zip.Reset(bytes.NewReader(data)); err != nil {
		return 0, fmt.Errorf("unpack profile: %w", err)
	}
	n, err := capture.Unpack(&r.buf, &r.zip, data, capture.MaxUnpacked)
	if err != nil {
		return 0, fmt.Errorf("unpack profile: %w", err)
	}
	if n > capture.MaxUnpacked {
		return 0, fmt.Errorf("profile has more than %d bytes", int64(capture.MaxUnpacked))
	}
	return liveBytes(r.buf.Bytes())
}

// Numbers of fields in profile.proto.
const (
	profileSampleType, profileSample, profileLocation, profileFunction, profileString = 1, 2, 4, 5, 6

	valueTypeType               = 1
	sampleLocation, sampleValue = 1, 2
	locationID, locationLine    = 1, 4
	lineFunction                = 1
	functionID, functionName    = 1, 2
	liveType, ownFramesPrefix   = "inuse_space", "runtime/pprof."
)

var errNoLive = errors.New("profile has no " + liveType)

// liveBytes is the live heap of an unpacked heap profile. Its tables refer to each other and come in any order, so they
// are gone through one after the other.
func liveBytes(p []byte) (int64, error) {
	own, live, err := ownStrings(p)
	if err != nil {
		return 0, err
	}
	at, n := -1, 0
	functions := map[uint64]bool{}
	err = fields(p, func(num protowire.Number, v uint64, b []byte) error {
		switch num {
		case profileSampleType:
			name, err := first(b, valueTypeType)
			if live[name] {
				at = n
			}
			n++
			return err
		case profileFunction:
			name, err := first(b, functionName)
			if err == nil && own[name] {
				var id uint64
				id, err = first(b, functionID)
				functions[id] = true
			}
			return err
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if at < 0 {
		return 0, errNoLive
	}
	locations, err := ownLocations(p, functions)
	if err != nil {
		return 0, err
	}
	return sumLive(p, at, locations)
}

// ownStrings finds the strings that name functions of runtime/pprof, and the one that names the live bytes.
func ownStrings(p []byte) (own, live map[uint64]bool, err error) {
	own, live = map[uint64]bool{}, map[uint64]bool{}
	var n uint64
	err = fields(p, func(num protowire.Number, _ uint64, b []byte) error {
		if num != profileString {
			return nil
		}
		if bytes.HasPrefix(b, []byte(ownFramesPrefix)) {
			own[n] = true
		} else if string(b) == liveType {
			live[n] = true
		}
		n++
		return nil
	})
	return own, live, err
}

// ownLocations finds the locations in one of the functions.
func ownLocations(p []byte, functions map[uint64]bool) (map[uint64]bool, error) {
	own := map[uint64]bool{}
	return own, fields(p, func(num protowire.Number, _ uint64, b []byte) error {
		if num != profileLocation {
			return nil
		}
		var id uint64
		found := false
		err := fields(b, func(num protowire.Number, v uint64, line []byte) error {
			switch num {
			case locationID:
				id = v
			case locationLine:
				f, err := first(line, lineFunction)
				found = found || functions[f]
				return err
			}
			return nil
		})
		if found {
			own[id] = true
		}
		return err
	})
}

// sumLive adds up the at-th value of the samples without a frame at one of the locations.
func sumLive(p []byte, at int, leaveOut map[uint64]bool) (sum int64, err error) {
	err = fields(p, func(num protowire.Number, _ uint64, sample []byte) error {
		if num != profileSample {
			return nil
		}
		own, n, value := false, 0, int64(0)
		err := fields(sample, func(num protowire.Number, v uint64, packed []byte) error {
			return numbers(v, packed, func(v uint64) {
				switch num {
				case sampleLocation:
					own = own || leaveOut[v]
				case sampleValue:
					if n == at {
						value = int64(v)
					}
					n++
				}
			})
		})
		if !own {
			sum += value
		}
		return err
	})
	return sum, err
}

// fields calls each with every field of a message: its number and its value v, or for one with a length its bytes b,
// which are not nil then.
func fields(message []byte, each func(num protowire.Number, v uint64, b []byte) error) error {
	for len(message) > 0 {
		num, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return fmt.Errorf("profile: %w", protowire.ParseError(n))
		}
		message = message[n:]
		var v uint64
		var b []byte
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			b, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(num, kind, message)
		}
		if n < 0 {
			return fmt.Errorf("profile: %w", protowire.ParseError(n))
		}
		message = message[n:]
		if err := each(num, v, b); err != nil {
			return err
		}
	}
	return nil
}

// first is the value of the first field of this number in a message, 0 without one.
func first(message []byte, want protowire.Number) (value uint64, err error) {
	found := false
	err = fields(message, func(num protowire.Number, v uint64, _ []byte) error {
		if num == want && !found {
			value, found = v, true
		}
		return nil
	})
	return value, err
}

// numbers calls each with the numbers of a repeated field: v alone, or those that are packed in b.
func numbers(v uint64, packed []byte, each func(uint64)) error {
	if packed == nil {
		each(v)
		return nil
	}
	for len(packed) > 0 {
		v, n := protowire.ConsumeVarint(packed)
		if n < 0 {
			return fmt.Errorf("profile: %w", protowire.ParseError(n))
		}
		each(v)
		packed = packed[n:]
	}
	return nil
}
