package blame

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCleanNameIsWhatAPersonWouldSay(t *testing.T) {
	for in, want := range map[string]string{
		"app/copy.readAll":                                   "app/copy.readAll",
		"app/copy.(*job).run":                                "app/copy.(*job).run",
		"app/copy.(*job).run-fm":                             "app/copy.(*job).run",
		"app/copy.run.func1":                                 "app/copy.run",
		"app/copy.run.func1.2.gowrap3":                       "app/copy.run",
		"app/copy.(*job).each-range1":                        "app/copy.(*job).each",
		"app/copy.run.deferwrap1":                            "app/copy.run",
		"app/seen.(*Set[...]).Add":                           "app/seen.(*Set).Add",
		"app/seen.Map[go.shape.string,go.shape.[]uint8]":     "app/seen.Map",
		"app/seen.(*H[go.shape.struct { a/b.c int64 }]).put": "app/seen.(*H).put",
		"app/seen.Map[...].func1":                            "app/seen.Map",
		"main.main":                                          "main.main",
		"main.init.0":                                        "main.init.0",
		"main.init.func1":                                    "main.init.func1",
		"app/reg.map.init.0":                                 "app/reg.map.init.0",
		"main.glob..func1":                                   "main.glob..func1",
		"gopkg.in/yaml%2ev3.(*parser).next":                  "gopkg.in/yaml.v3.(*parser).next",
		"github.com/aws/aws-sdk-go-v2/service/s3.New.func1":  "github.com/aws/aws-sdk-go-v2/service/s3.New",
		"runtime.mallocgc":                                   "runtime.mallocgc",
		"":                                                   "",
	} {
		assert.Equal(t, want, CleanName(in), in)
	}
}

var (
	readAll = Frame{"io.ReadAll", "/usr/local/go/src/io/io.go", 712}
	dial    = Frame{"net/http.(*Transport).dialConn", "/usr/local/go/src/net/http/transport.go", 1900}
	dialFor = Frame{"net/http.(*Transport).dialConnFor", "/usr/local/go/src/net/http/transport.go", 1600}
	sdk     = Frame{"github.com/aws/sdk/s3.(*Client).Put", "/root/go/pkg/mod/github.com/aws/sdk@v1.2.3/s3/put.go", 50}
	mine    = Frame{"example.com/app/copy.(*job).run", "/src/app/copy/job.go", 40}
	caller  = Frame{"example.com/app/copy.(*pool).work", "/src/app/copy/pool.go", 20}
	program = Frame{"main.main", "/src/app/cmd/app/main.go", 9}
)

func TestBlame(t *testing.T) {
	for name, c := range map[string]struct {
		stack    []Frame
		owner    Owner
		function string
		line     int
	}{
		"the standard library's leaf is useless as blame": {[]Frame{readAll, mine, caller}, OwnerUser,
			"example.com/app/copy.(*job).run", 40},
		"a dependency's too": {[]Frame{sdk, mine, caller}, OwnerUser,
			"example.com/app/copy.(*job).run", 40},
		"main is always the user's": {[]Frame{sdk, program}, OwnerUser, "main.main", 9},
		"a transport's buffers belong to the connection": {[]Frame{{"bufio.NewReaderSize", "/usr/local/go/src/bufio/bufio.go",
			57}, dial, dialFor}, OwnerConnection, "net/http.(*Transport).dialConn", 1900},
		"a dependency's own goroutine": {[]Frame{readAll, sdk}, OwnerThirdParty, "github.com/aws/sdk/s3.(*Client).Put", 50},
		"a dependency's handler below a server": {[]Frame{readAll, sdk, {"net/http.(*conn).serve",
			"/usr/local/go/src/net/http/server.go", 1995}}, OwnerThirdParty,
			"github.com/aws/sdk/s3.(*Client).Put", 50},
		"the runtime alone": {[]Frame{{"runtime.malg", "/usr/local/go/src/runtime/proc.go", 5}}, OwnerRuntime, "runtime.malg",
			5},
	} {
		for _, module := range []string{"example.com/app", ""} {
			site, ok := NewBlamer(module).Blame(c.stack)
			require.True(t, ok, name)
			assert.Equal(t, c.owner, site.Owner, name)
			assert.Equal(t, c.function, site.Function, name)
			assert.Equal(t, c.line, site.Line, name)
		}
	}
}

func TestTheProfilersOwnFramesAreLeftOut(t *testing.T) {
	_, ok := NewBlamer("").Blame([]Frame{{"compress/flate.NewWriter", "", 1}, {"runtime/pprof.newProfileBuilder", "", 2},
		program})
	assert.False(t, ok)
	_, ok = NewBlamer("").Blame(nil)
	assert.False(t, ok)
	for _, label := range []string{"runtime/pprof.Do", "runtime/trace.WithRegion"} { // the program's own work
		site, ok := NewBlamer("example.com/app").Blame([]Frame{mine, {label, "", 2}, program})
		require.True(t, ok, label)
		assert.Equal(t, mine.Function, site.Function, label)
	}
}

func TestInlinedFramesCountAsTheyAre(t *testing.T) {
	inlined := Frame{"example.com/app/copy.grow", "/src/app/copy/buf.go", 12}
	site, ok := NewBlamer("example.com/app").Blame([]Frame{readAll, inlined, mine})
	require.True(t, ok)
	assert.Equal(t, "example.com/app/copy.grow", site.Function)
	assert.Equal(t, "copy/buf.go", site.File)
	assert.Equal(t, 12, site.Line)
}

func TestADeepStackIsBlamedOnWhatRecurs(t *testing.T) {
	deep := []Frame{readAll, mine, caller, caller, caller, program}
	f, ok := NewBlamer("example.com/app").Recursion(deep)
	require.True(t, ok)
	assert.Equal(t, caller, f)
	_, ok = NewBlamer("example.com/app").Recursion([]Frame{readAll, mine, program})
	assert.False(t, ok)
}
