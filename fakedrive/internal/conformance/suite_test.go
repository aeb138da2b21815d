package conformance

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/api/drive/v3"
	"google.golang.org/api/option"
)

// notPassing are the tests of rclone's suite that do not pass, with the reason of each. Any other one that fails or is
// skipped fails this test, and so does one of these that passes.
var notPassing = map[string]string{
	"TestExtensionsForImportFormats":                                "skipped by its author, always",
	"TestIntegration/FsCheckWrap":                                   "skipped for every remote that wraps no other",
	"TestIntegration/FsMkdir/FsPutFiles/ObjectCheckWrap":            "skipped for every remote that wraps no other",
	"TestIntegration/FsMkdir/FsDirectory/DirectoryCheckWrap":        "skipped for every remote that wraps no other",
	"TestIntegration/FsMkdir/FsOpenWriterAt":                        "the drive backend has no such feature",
	"TestIntegration/FsMkdir/FsOpenChunkWriter":                     "the drive backend has no such feature",
	"TestIntegration/FsMkdir/FsCopyChunked":                         "the drive backend has no such feature",
	"TestIntegration/FsMkdir/FsPutFiles/FsNewObjectCaseInsensitive": "the drive backend is case sensitive",
	"TestIntegration/FsMkdir/FsPutFiles/ObjectSetMetadata":          "the drive backend has no such feature",
	"TestIntegration/FsMkdir/FsPutFiles/SetTier":                    "the drive backend has no tiers",
	"TestIntegration/FsMkdir/FsPutFiles/Bucket":                     "the drive backend has no buckets",
	"TestIntegration/FsShutdown":                                    "the drive backend has no such feature",
	"TestIntegration/FsMkdir/FsPutFiles/Internal/Query/GoodQuery": "searches for a file that CopyOrMoveID, which runs " +
		"before it, has moved to the trash: " +
		"it counts on the real Drive's search index to lag; it passes alone",
}

// suiteBinary builds rclone's tests of its drive backend in rclone's own source tree, once.
var suiteBinary = sync.OnceValues(func() ([2]string, error) {
	var none [2]string
	cmd := exec.Command("go", "mod", "download", "-json", "github.com/rclone/rclone@"+rcloneVersion)
	cmd.Dir = os.TempDir()
	out, err := cmd.Output()
	if err != nil {
		return none, err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return none, err
	}
	bin, err := binDir()
	if err != nil {
		return none, err
	}
	source := filepath.Join(module.Dir, "backend", "drive")
	build := exec.Command("go", "test", "-c", "-o", filepath.Join(bin, "drive.test"), ".")
	build.Dir = source
	build.Env = append(os.Environ(), "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return none, &exec.Error{Name: string(out), Err: err}
	}
	return [2]string{filepath.Join(bin, "drive.test"), source}, nil
})

var resultLine = regexp.MustCompile(`(?m)^\s*--- (PASS|FAIL|SKIP): (\S+) \(`)

// suiteResults runs rclone's suite on a remote and returns the result of each of its tests.
func suiteResults(t *testing.T, s *server, conf string, args ...string) map[string]string {
	t.Helper()
	suite, err := suiteBinary()
	require.NoError(t, err)
	out, _ := tryRun(t, s.env("RCLONE_CONFIG="+conf), suite[1], suite[0], append([]string{"-test.v", "-remote", "drive:"},
		args...)...)
	results := map[string]string{}
	for _, m := range resultLine.FindAllStringSubmatch(out, -1) {
		results[m[2]] = m[1]
	}
	require.NotEmpty(t, results, tail(out, 3000))
	if t.Failed() || os.Getenv("MEMSOAK_VERBOSE") != "" {
		t.Log(out)
	}
	return results
}

// leaves are the tests without tests below them.
func leaves(results map[string]string) []string {
	var list []string
	for name := range results {
		if !slices.ContainsFunc(keys(results), func(other string) bool { return strings.HasPrefix(other, name+"/") }) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

func keys(m map[string]string) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	return list
}

// TestRcloneSuite runs rclone's integration suite for its drive backend, on My Drive and on a shared drive.
func TestRcloneSuite(t *testing.T) {
	wanted(t)
	passedOfAll, leafOfAll := 0, 0
	for _, where := range []string{"my-drive", "shared-drive"} {
		t.Run(where, func(t *testing.T) {
			s := startDrive(t, "none")
			extra := ""
			if where == "shared-drive" {
				extra = "team_drive = " + newSharedDrive(t, s) + "\n"
			}
			results := suiteResults(t, s, remotes(t, extra, nil))
			judge(t, results)
			passed := 0
			for _, r := range results {
				if r == "PASS" {
					passed++
				}
			}
			leafPassed := 0
			for _, name := range leaves(results) {
				if results[name] == "PASS" {
					leafPassed++
				}
			}
			t.Logf("%s: %d tests, %d passed; of them leaves: %d, %d passed", where, len(results), passed, len(leaves(results)),
				leafPassed)
			passedOfAll += passed
			leafOfAll += leafPassed
			s.understood()
		})
	}
	t.Logf("both: %d tests passed, %d of them leaves", passedOfAll, leafOfAll)
	require.GreaterOrEqual(t, leafOfAll, 185, "leaf tests of rclone's suite")
}

// judge fails the test for every result that is not accounted for.
func judge(t *testing.T, results map[string]string) {
	t.Helper()
	for _, name := range leaves(results) {
		reason, known := notPassing[name]
		switch {
		case results[name] == "PASS":
		case known:
			t.Logf("%s %s: %s", results[name], name, reason)
		default:
			t.Errorf("%s %s: no reason is known", results[name], name)
		}
	}
}

// TestRcloneSuiteSearches runs the one test that the order of the suite breaks, without the one that breaks it.
func TestRcloneSuiteSearches(t *testing.T) {
	wanted(t)
	s := startDrive(t, "none")
	results := suiteResults(t, s, remotes(t, "", nil), "-test.run", "TestIntegration/FsMkdir/FsPutFiles/Internal/Query")
	require.Equal(t, "PASS", results["TestIntegration/FsMkdir/FsPutFiles/Internal/Query/GoodQuery"])
}

func newSharedDrive(t *testing.T, s *server) string {
	t.Helper()
	ctx := context.Background()
	svc, err := drive.NewService(ctx, option.WithEndpoint(s.HTTP+"/drive/v3/"), option.WithHTTPClient(http.DefaultClient))
	require.NoError(t, err)
	d, err := svc.Drives.Create("request-1", &drive.Drive{Name: "Team"}).Context(ctx).Do()
	require.NoError(t, err)
	return d.Id
}
