package profiles

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/record"
)

func perFile(c record.Covariates, _ float64) float64 { return float64(c.FilesDone) }

// faults are synthetic subjects with one fault each, for every class that heap profiles and covariates can show, and
// healthy look-alikes.
var faults = []struct {
	name     string
	headline record.Headline
	class    record.Class // of the first finding; empty: no finding of a fault's nature
	function string
	per      string
	slope    float64
	make     func() *subject
}{
	{"healthy", record.Healthy, "", "", "", 0, func() *subject { return &subject{} }},
	{"leak per file", record.HeadLeak, record.Leak, "app/reg.(*Registry).Add", "file", 112, func() *subject {
		return with(source{stack: frames("app/reg.(*Registry).Add", "app/copy.(*job).run"), size: 112, retained: perFile})
	}},
	{"leak of 4 KiB through io.ReadAll", record.HeadLeak, record.Leak, "app/reg.keep", "file", 4096, func() *subject {
		return with(source{stack: frames("bytes.growSlice", "io.ReadAll", "app/reg.keep", "app/copy.(*job).run"), size: 4096,
			retained: perFile})
	}},
	{"leak per byte", record.HeadLeak, record.Leak, "app/sum.blocks", "byte", 0.02, func() *subject {
		return with(source{stack: frames("app/sum.blocks", "app/copy.(*job).run"), size: 320,
			retained: func(c record.Covariates, _ float64) float64 { return float64(c.BytesDone) / 16000 }})
	}},
	{"leak with time", record.HeadLeak, record.Leak, "app/stats.tick", "second", 65536, func() *subject {
		return with(source{stack: frames("app/stats.tick", "app/stats.loop"), size: 1024,
			retained: func(_ record.Covariates, sec float64) float64 { return 64 * sec }})
	}},
	{"kept per distinct item", record.HeadMetadata, record.Metadata, "app/seen.(*Set).Add", "distinct-item", 208,
		func() *subject {
			return with(source{stack: frames("app/seen.(*Set).Add[...]", "app/copy.(*job).run"), size: 208,
				retained: func(c record.Covariates, _ float64) float64 { return float64(c.Distinct) }})
		}},
	{"bounded cache", record.Healthy, record.Cache, "app/lru.(*Cache).Put", "distinct-item", 2048, func() *subject {
		return with(source{stack: frames("app/lru.(*Cache).Put", "app/copy.(*job).run"), size: 2048,
			retained: func(c record.Covariates, _ float64) float64 { return math.Min(float64(c.Distinct), 700) }})
	}},
	{"whole file", record.HeadBuffer, record.BufferFile, "app/copy.readAll", "byte-in-flight", 1, func() *subject {
		return with(source{stack: frames("io.ReadAll", "app/copy.readAll", "app/copy.(*job).run"), size: 64 << 10,
			held: func(c record.Covariates) float64 { return float64(c.BytesSent) / (64 << 10) }})
	}},
	{"buffer per worker", record.Healthy, record.BufferWorker, "app/copy.newBuffer", "worker", 1 << 20, func() *subject {
		return with(source{stack: frames("app/copy.newBuffer", "app/copy.(*job).run"), size: 1 << 20,
			held: func(c record.Covariates) float64 { return float64(c.InFlight) }})
	}},
	{"part of 2 MiB", record.Healthy, record.BufferWorker, "app/copy.part", "worker", 2 << 20, func() *subject {
		return with(source{stack: frames("app/copy.part", "app/copy.(*job).run"), size: 32 << 10,
			held: func(c record.Covariates) float64 {
				m := float64(c.InFlight - c.AtHeader)
				if m == 0 {
					return 0
				}
				return m * math.Min(float64(c.BytesSent)/m, 2<<20) / (32 << 10)
			}})
	}},
	{"backlog", record.HeadMetadata, record.Metadata, "app/queue.(*Queue).Put", "backlog-item", 416, func() *subject {
		return with(source{stack: frames("app/queue.(*Queue).Put", "app/list.(*lister).walk"), size: 416,
			held: func(c record.Covariates) float64 { return float64(c.Backlog) }})
	}},
	{"buffer of a queue that is full at 500 items", record.Healthy, record.Cache, "app/queue.(*Queue).flush",
		"backlog-item", 4160, func() *subject {
			return with(source{stack: frames("app/queue.(*Queue).flush", "app/list.(*lister).walk"), size: 4160,
				held: func(c record.Covariates) float64 { return math.Min(float64(c.Backlog), 500) }})
		}},
	{"backlog in a slice that grows by append", record.HeadMetadata, record.Metadata, "app/queue.(*List).Put",
		"backlog-item", 0, func() *subject {
			return with(source{stack: frames("runtime.growslice", "app/queue.(*List).Put", "app/list.(*lister).walk"), size: 416,
				held: func(c record.Covariates) float64 { return math.Exp2(math.Ceil(math.Log2(float64(c.Backlog) + 1))) }})
		}},
	{"descriptors that the runtime keeps", record.Healthy, "", "", "", 0, func() *subject {
		most := 0.0 // they follow the most that was under way so far
		return with(source{stack: frames("runtime.mallocgc", "runtime.malg", "runtime.newproc1", "runtime.systemstack"),
			size: 448,
			retained: func(c record.Covariates, _ float64) float64 {
				most = math.Max(most, 500*float64(c.InFlight)+float64(c.BytesInFlight)/4096)
				return most
			}})
	}},
	{"goroutines that never end", record.HeadLeak, record.GoroutineLeak, "app/copy.notify", "file", 2048, func() *subject {
		return &subject{routines: []routineSource{{frames("runtime.gopark", "runtime.chansend1", "app/copy.notify",
			"app/copy.(*job).run.gowrap1"),
			func(c record.Covariates) float64 { return float64(c.FilesDone) }}}}
	}},
	{"largest file kept", record.HeadBuffer, record.BufferFile, "app/copy.(*worker).grow", "byte-in-flight", 1,
		func() *subject {
			high := 0.0
			return with(source{stack: frames("app/copy.(*worker).grow", "app/copy.(*job).run"), size: 1 << 20,
				retained: func(c record.Covariates, _ float64) float64 {
					high = math.Max(high, float64(c.BytesInFlight)/(1<<20))
					return high
				}})
		}},
	{"off-heap per file", record.HeadOffHeap, record.OffHeap, "", "file", 65536, func() *subject {
		return &subject{process: func(n *record.Snapshot) { n.Process.OtherAnon += 65536 * n.Covariates.FilesDone }}
	}},
	{"tmpfs spool", record.HeadOffHeap, record.PageCache, "app/copy.(*job).run", "byte-in-flight", 1, func() *subject {
		return &subject{process: func(n *record.Snapshot) { n.Cgroup.Shmem += n.Covariates.BytesInFlight }}
	}},
	{"connections never closed", record.HeadLeak, record.ConnectionLeak, "app/drive.get", "file", 0, func() *subject {
		s := with(source{stack: frames("net/http.NewRequestWithContext", "app/drive.get", "app/copy.(*job).run"), size: 512,
			retained: perFile})
		s.conns = func(c record.Covariates) int64 { return c.FilesDone }
		return s
	}},
	{"garbage", record.Healthy, record.GCHeadroom, "app/copy.(*job).run", "", 0,
		func() *subject { return &subject{garbage: 64 << 20} }},
	{"leak at a file's beginning", record.HeadLeak, record.Leak, "app/reg.begin", "file", 320, func() *subject {
		high := 0.0
		return with(source{stack: frames("app/reg.begin", "app/copy.(*job).run"), size: 320,
			retained: func(c record.Covariates, _ float64) float64 {
				high = math.Max(high, float64(c.FilesDone+c.InFlight))
				return high
			}})
	}},
	{"window of 4 MiB, less of it in mid-body than was sent", record.Healthy, record.BufferWorker, "app/copy.window",
		"worker", 4 << 20, func() *subject {
			return with(source{stack: frames("app/copy.window", "app/copy.(*job).run"), size: 16 << 10,
				held: func(c record.Covariates) float64 {
					m := float64(c.InFlight - c.AtHeader)
					if m == 0 {
						return 0
					}
					unread := math.Min(float64(c.BytesSent)/m, 4<<20)
					if c.WithBody == 0 {
						unread /= 2
					}
					return m * unread / (16 << 10)
				}})
		}},
	{"slice that grows by append, 216 B a file", record.HeadLeak, record.Leak, "app/log.(*Ledger).Add", "file", 0,
		func() *subject {
			return with(source{stack: frames("runtime.growslice", "app/log.(*Ledger).Add", "app/copy.(*job).run"), size: 4096,
				retained: func(c record.Covariates, _ float64) float64 { return appended(float64(c.FilesDone)) * 216 / 4096 }})
		}},
	{"map that doubles, 100 B an item", record.HeadMetadata, record.Metadata, "app/log.(*Index).Put", "distinct-item", 0,
		func() *subject {
			return with(source{stack: frames("internal/runtime/maps.newarray", "app/log.(*Index).Put", "app/copy.(*job).run"),
				size: 8192,
				retained: func(c record.Covariates, _ float64) float64 {
					return math.Exp2(math.Ceil(math.Log2(float64(c.Distinct)*8/7+1))) * 100 / 8192
				}})
		}},
	{"table of 12 MiB", record.Healthy, record.Static, "app/geo.load", "", 0, func() *subject {
		return with(source{stack: frames("app/geo.load", "main.main"), size: 64 << 10, retained: func(record.Covariates,
			float64) float64 {
			return 192
		}})
	}},
}

// appended is the capacity of a slice to which so many elements were appended one by one.
func appended(n float64) float64 {
	capacity := 1.0
	for capacity < n {
		if capacity < 256 {
			capacity *= 2
		} else {
			capacity += (capacity + 768) / 4
		}
	}
	return capacity
}

func with(s source) *subject { return &subject{sources: []*source{&s}} }

func newSubject(f func() *subject) *subject {
	s := f()
	s.sources = append(background(), s.sources...)
	return s
}

func TestDiagnoseFindsTheSeededFault(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(4) {
				workers := []int64{4, 7, 12, 16}[seed]
				v := diagnoseLab(t, newLab(t, newSubject(f.make), workers, seed).run(10))
				ok := assert.Equal(t, f.headline, v.Headline)
				if f.class == "" {
					for _, x := range v.Findings {
						ok = assert.Empty(t, costs.KindOf(x)) && ok
					}
				} else if ok = assert.NotEmpty(t, v.Findings) && ok; ok {
					got := v.Findings[0]
					ok = assert.Equal(t, f.class, got.Class) && assert.Equal(t, f.function, got.Site.Function)
					if f.per != "" {
						ok = ok && assert.Equal(t, f.per, got.Slope.Per)
					}
					if f.slope > 0 && ok {
						ok = assert.InEpsilon(t, f.slope, got.Slope.Bytes, 0.3)
					}
				}
				if !ok {
					t.Logf("workers %d seed %d: %s, warnings %q", workers, seed, v.Headline, v.Warnings)
					for _, x := range v.Findings {
						t.Logf("%s %v %v %d %q %q", x.Class, x.Site, x.Slope, x.BytesAtPeak, x.Summary, x.Evidence)
					}
					return
				}
			}
		})
	}
}
