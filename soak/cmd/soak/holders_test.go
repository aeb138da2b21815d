package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

func TestHoldersBeginWithWhatAPersonKnows(t *testing.T) {
	h := &record.Holders{Source: "process 7", Objects: 9, Sites: []record.HeldSite{
		{Site: record.Site{Function: "main.newWorker", File: "main.go", Line: 86}, Bytes: 32 << 20, Samples: 8,
			ObjectSize: 4 << 20, Status: record.HeldByEach, Each: 1, Goroutines: 8, Holder: "main.worker.buf",
			Path: []string{"main.(*worker).run (8 goroutines)", "main.worker.buf", "[]byte of 4.0 MiB"}},
		{Site: record.Site{Function: "main.record", File: "main.go", Line: 65}, Bytes: 6 << 20, Samples: 12, ObjectSize: 2048,
			Status: record.HeldByShared, Share: 1, Holder: "main.server.audit.entries",
			Path: []string{"http.defaultServeMux (package variable)", "main.server.audit.entries"}},
		{Site: record.Site{Function: "main.get", File: "main.go", Line: 144}, Bytes: 3 << 20, Samples: 6,
			ObjectSize: 16 << 10, Status: record.HeldUnknown, Garbage: 0.9},
		{Site: record.Site{Function: "main.image", File: "main.go", Line: 9}, Bytes: 64 << 20, Samples: 1,
			ObjectSize: 64 << 20, Status: record.HeldByRoot, Share: 1, Path: []string{"main.cover (package variable)"}},
		{Site: record.Site{Function: "main.put", File: "main.go", Line: 50}, Bytes: 512 << 10, Samples: 1, ObjectSize: 112},
		{Site: record.Site{Function: "main.dial", File: "main.go", Line: 13}, Bytes: 512 << 10, Samples: 1, ObjectSize: 352},
	}}
	var out strings.Builder
	require.NoError(t, printHolders(&out, h, false))
	text := out.String()
	for _, want := range []string{
		"  1 per goroutine: 8 of 4.0 MiB in 8 main.(*worker).run, held by main.worker.buf\n    main.(*worker).run (8 gor",
		"  100 % held by main.server.audit.entries, which several roots reach\n    http.defaultServeMux",
		"  not determined: most of it is garbage\n  90 % is garbage that the collector has not freed yet",
		"(1 sampled object, most of 64 MiB)\n  100 % held by main.cover (package variable)\n",
		"\n2 sites with one sampled object each, 1.0 MiB by estimate, too few to say more (--json has them):\n" +
			"  main.put:50\n  main.dial:13\n",
	} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, "at main.put", "an object that stands for thousands is folded")
}
