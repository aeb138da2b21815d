package drawn

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/gate"
	"github.com/memsoak/memsoak/soak/internal/testsubject"
)

// mostOfARunner is the memory that soak run may take, whatever a subject answers. The processes that it has waited for,
// its fakes and its subject, count as well, since the kernel tells the largest of them all.
const mostOfARunner = 512 << 20

// hostile are subjects that misbehave, with the outcome that their trial must have. Slow ones run once in `make chaos`
// and not in its short form: three readings of 30 s have to fail.
var hostile = []struct {
	mode, limit string
	outcome     record.Outcome
	slow        bool
}{
	{testsubject.Buffer, "40MiB", record.OOMKilled, false},
	{testsubject.Crash, "256MiB", record.Crashed, false},
	{testsubject.Hang, "256MiB", record.Timeout, false},
	{testsubject.Refuse, "256MiB", record.WaveFailed, false},
	{testsubject.Empty, "256MiB", record.OK, false},
	{testsubject.Half, "256MiB", record.OK, false},
	{testsubject.Garbage, "256MiB", record.OK, false},
	{testsubject.Bomb, "256MiB", record.OK, false},
	{testsubject.Lie, "1GiB", record.OK, false},
	{testsubject.NoFiles, "256MiB", record.WaveFailed, true},
	{testsubject.Mute, "256MiB", record.Timeout, true},
	{testsubject.Trickle, "256MiB", record.Timeout, true},
	{testsubject.NoPprof, "256MiB", record.OK, false},
}

// TestHostileSubjects is part of `make chaos`: MEMSOAK_CHAOS is the number of rounds.
func TestHostileSubjects(t *testing.T) {
	rounds, _ := strconv.Atoi(os.Getenv("MEMSOAK_CHAOS"))
	if rounds < 1 {
		t.Skip("subjects that misbehave under a real soak run: make chaos-quick")
	}
	for round := range rounds {
		for _, h := range hostile {
			if h.slow && (round > 0 || rounds == 1) {
				continue
			}
			t.Run(h.mode, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "run")
				peak := runHostile(t, dir, h.mode, h.limit)
				run, err := record.ReadRun(dir)
				require.NoError(t, err)
				verdict, err := record.ReadRunVerdict(dir)
				require.NoError(t, err)
				outcome, headline, gated := run.Status[0].Trials[0].Outcome, "none", judged(t, dir).Outcome
				for _, c := range verdict.Cells {
					headline = c.Headline.String()
					assert.NotEqual(t, "healthy", headline)
				}
				assert.Equal(t, h.outcome, outcome)
				assert.NotEqual(t, gate.Pass, gated)
				assert.LessOrEqual(t, peak, int64(mostOfARunner), "bytes of the runner")
				note := "ok"
				if t.Failed() {
					note = "MISSED"
				}
				t.Logf("| %-12s | asked %-11s never healthy, gate not passed, <= 512 MiB | seen %-11s %s, gate %v, %d MiB | %s",
					h.mode, h.outcome, outcome, headline, gated, peak>>20, note)
			})
		}
	}
}

// runHostile runs soak run and returns its largest resident size.
func runHostile(t *testing.T, dir, mode, limit string) int64 {
	t.Helper()
	spec, err := yaml.Marshal(testsubject.Spec(mode))
	require.NoError(t, err)
	text, err := os.ReadFile("testdata/short.yaml")
	require.NoError(t, err)
	patience := "wave_timeout: 60s" // a busy machine is no hang
	if mode == testsubject.Hang {
		patience = "wave_timeout: 2s"
	}
	longer := strings.NewReplacer("wave_timeout: 10s", patience, "budget: 30s", "budget: 300s")
	text = []byte(longer.Replace(string(text)))
	subject, protocol := dir+".yaml", dir+"-protocol.yaml"
	require.NoError(t, os.WriteFile(subject, spec, 0o600))
	require.NoError(t, os.WriteFile(protocol, text, 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // a hang of the runner itself
	defer cancel()
	bin, err := filepath.Abs(os.Getenv("MEMSOAK_BIN"))
	require.NoError(t, err)
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "soak"), "run", "--force", "--subject", subject,
		"--protocol", protocol, "--limit", limit, "--set", "workers=4", "--out", dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		require.NotNil(t, cmd.ProcessState, "%v", err)
		t.Logf("soak run: %v: %s", err, &out)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	require.True(t, ok)
	return usage.Maxrss << 10
}
