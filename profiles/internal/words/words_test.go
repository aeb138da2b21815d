package words

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/record"
)

func TestACapacityOfAServiceHasItsWordsAndCommandsStay(t *testing.T) {
	plain, bare := record.Words{Item: record.ItemRequest}, record.Words{Item: record.ItemRequest, InFlight: true}
	fit := "29,800 waiting files fit in 256.0 MiB with 13 workers: 5.9 KiB a file with all that grows"
	assert.Equal(t, "29,800 queued requests fit in 256.0 MiB with 13 workers: 5.9 KiB a request "+
		"with all that grows", sayCapacity(plain, fit))
	assert.Equal(t, "29,800 queued requests fit in 256.0 MiB with 13 requests in flight: 5.9 KiB a "+
		"request with all that grows",
		sayCapacity(bare, fit))
	assert.Equal(t, "Not even one request in flight is safe in 1.0 GiB", sayCapacity(bare,
		"Not even one worker is safe in 1.0 GiB"))
	decides := decidesPrefix + "a run whose trials do their work: soak run --axis workers=1,4,16 --limit 1GiB"
	assert.Equal(t, decides, sayCapacity(plain, decides))
	assert.Equal(t, decidesPrefix+"a run whose trials do their work: soak run --axis concurrency=1,4,16 --limit 1GiB",
		sayCapacity(bare, decides))
	assert.Equal(t, fit, sayCapacity(record.Words{}, fit))
	c := &record.Capacity{Words: bare, Binds: "2.9 KiB per backlog item at main.(*server).quote: 2.8 GiB at 1 worker",
		Decides: "a run: soak run --axis workers=1", Assumes: []string{"largest file 0 B"},
		Warnings: []string{"at 101 workers 460.4 MiB are live"}}
	SpeakCapacity(c)
	assert.Equal(t, "2.9 KiB per queued request at main.(*server).quote: 2.8 GiB at 1 request in flight", c.Binds)
	assert.Equal(t, []string{"largest request 0 B"}, c.Assumes)
	assert.Equal(t, "a run: soak run --axis concurrency=1", c.Decides, "the field says what the sentence says")
	assert.Equal(t, []string{"at 101 requests in flight 460.4 MiB are live"}, c.Warnings)
}

func TestAServiceIsSpokenOfInRequests(t *testing.T) {
	for _, c := range [][2]string{
		{"main.(*audit).record (main.go:48) leaks: 2.1 KiB more stays behind with every file; no end shows in 4 of them.",
			"main.(*audit).record (main.go:48) leaks: 2.1 KiB more stays behind with every request; no end shows in 4 of them."},
		{"pkg.file (pkg/file.go:3) remembers 1.0 KiB for every distinct item that it has seen; no bound shows in this trial.",
			"pkg.file (pkg/file.go:3) remembers 1.0 KiB for every key that it has seen; no bound shows in this trial."},
		{"a.Get (a/a.go:1) holds 4.0 MiB per worker. Only files of 1.0 KiB were held where it shows.",
			"a.Get (a/a.go:1) holds 4.0 MiB per request in flight. Only requests of 1.0 KiB were held where it shows."},
		{"a.Get (a/a.go:1) holds 4.0 MiB per worker. Files of 1.0 KiB to 4.0 MiB were held where it shows.",
			"a.Get (a/a.go:1) holds 4.0 MiB per request in flight. Requests of 1.0 KiB to 4.0 MiB were held where it shows."},
		{"snapshot 14: 4 transfers of 4.0 KiB held at the upload's reply",
			"snapshot 14: 4 requests of 4.0 KiB held at an upstream's reply"},
		{"snapshot 34: 8 transfers held at the download's header, 42 files waiting",
			"snapshot 34: 8 requests held before an upstream, 42 queued requests"},
		{"16.0 KiB for every backlog item",
			"16.0 KiB for every queued request"},
		{"a.B (a/b.go:2) holds files in memory: 1 bytes for every byte of the files in flight.",
			"a.B (a/b.go:2) holds bodies in memory: 1 bytes for every byte of the bodies in flight."},
		{"not excluded: buffer-file per byte in flight",
			"not excluded: buffer-file per byte in flight"},
	} {
		text, want := c[0], c[1]
		assert.Equal(t, want, say(record.ItemRequest, text))
		assert.Equal(t, text, say("", text), "a copier keeps its words")
	}
}

func TestOneWorkerIsNoPlural(t *testing.T) {
	assert.Equal(t, "Up to 1 worker is safe in 1.0 GiB with GOMEMLIMIT=896MiB",
		Capacity(&record.Capacity{Limit: 1 << 30, MaxWorkers: 1, GOMEMLIMIT: 896 << 20})[0])
}

func TestThousandsAreApart(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 612_345: "612,000",
		1_999_999: "1,990,000"} {
		assert.Equal(t, want, thousands(n))
	}
}

func TestFilesThatFitAtLeastHaveNoUpperEnd(t *testing.T) {
	fit := &record.Fit{Workers: 4, Per: "file", Most: 9000, Range: []float64{9000, 11_000}, PerFile: 2048,
		GOMEMLIMIT: 38 << 20, Cost: record.Cost{Per: "file", Bytes: 2048}}
	assert.Equal(t, "9,000 files fit in 48.0 MiB with 4 workers and GOMEMLIMIT=38MiB, and more than 11,000 files don't "+
		"(95 %): 2.0 KiB per file stays", fitText(fit, 48<<20))
	fit.AtLeast, fit.Range = true, fit.Range[:1]
	assert.Equal(t, "At least 9,000 files fit in 48.0 MiB with 4 workers and GOMEMLIMIT=38MiB: 2.0 KiB per file stays; "+
		"part of it had no pages in this run, and while that stays so, more fit", fitText(fit, 48<<20))
	fit.Per, fit.Files, fit.Most, fit.AtLeast = "error", 9000, 180, false
	assert.Contains(t, fitText(fit, 48<<20), "9,000 files (180 errors) fit in", "errors are no work to plan")
}
