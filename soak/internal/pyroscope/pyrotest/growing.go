package pyrotest

import (
	"fmt"
	"time"

	"github.com/google/pprof/profile"
)

// Growing stores n heap profiles of a service, every apart from first on, in which one place has a mebibyte more each
// time, and as many goroutine profiles with ten goroutines more each time.
func (s *Server) Growing(service string, labels map[string]string, first time.Time, every time.Duration, n int) {
	fn := func(id uint64, name string) *profile.Function {
		return &profile.Function{ID: id, Name: name, SystemName: name, Filename: "cart.go"}
	}
	for i := range n {
		at := first.Add(time.Duration(i) * every)
		leak := &profile.Location{ID: 1, Address: 0x1000, Line: []profile.Line{{
			Function: fn(1, "example.com/cart.(*Cart).Add"), Line: 12}}}
		fix := &profile.Location{ID: 2, Address: 0x2000, Line: []profile.Line{{Function: fn(2, "x.org/cart.load"), Line: 7}}}
		heap := &profile.Profile{TimeNanos: at.UnixNano(), Period: 512 << 10,
			PeriodType: &profile.ValueType{Type: "space", Unit: "bytes"},
			Location:   []*profile.Location{leak, fix},
			Function:   []*profile.Function{leak.Line[0].Function, fix.Line[0].Function}}
		for _, t := range []string{"alloc_objects", "alloc_space", "inuse_objects", "inuse_space"} {
			unit := map[bool]string{true: "count", false: "bytes"}[t == "alloc_objects" || t == "inuse_objects"]
			heap.SampleType = append(heap.SampleType, &profile.ValueType{Type: t, Unit: unit})
		}
		live := int64(i+1) << 20
		heap.Sample = []*profile.Sample{
			{Location: []*profile.Location{leak}, Value: []int64{live / 512, live, live / 1024, live}},
			{Location: []*profile.Location{fix}, Value: []int64{2, 1 << 20, 1, 1 << 20}}}
		types := map[string]string{"goroutine": "goroutines"}
		for _, t := range heap.SampleType {
			types[t.Type] = t.Type
		}
		wait := &profile.Location{ID: 1, Line: []profile.Line{{Function: fn(1, "example.com/cart.watch"), Line: 40}}}
		routines := &profile.Profile{TimeNanos: at.UnixNano(),
			SampleType: []*profile.ValueType{{Type: "goroutine", Unit: "count"}},
			PeriodType: &profile.ValueType{Type: "goroutine", Unit: "count"}, Period: 1,
			Location: []*profile.Location{wait}, Function: []*profile.Function{wait.Line[0].Function},
			Sample: []*profile.Sample{{Location: []*profile.Location{wait}, Value: []int64{int64(10 * (i + 1))}}}}
		for _, p := range []*profile.Profile{heap, routines} {
			if err := p.CheckValid(); err != nil {
				panic(fmt.Sprintf("a profile of this test double: %v", err))
			}
			s.Store(Stored{Service: service, Labels: labels, Time: at, Profile: p, Types: types})
		}
	}
}
