package trial_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/testsubject"
	"github.com/memsoak/memsoak/soak/internal/trial"
)

// TestAFakeThatDiesIsNotTheSubjectsFault kills the Drive under a trial: the subject's failures say nothing about it.
func TestAFakeThatDiesIsNotTheSubjectsFault(t *testing.T) {
	o := options(t, testsubject.OK)
	note, program := filepath.Join(t.TempDir(), "pid"), filepath.Join(t.TempDir(), "fakedrive")
	require.NoError(t, os.WriteFile(program,
		fmt.Appendf(nil, "#!/bin/sh\necho $$ > %q\nexec %q \"$@\"\n", note, o.Fakes.Fakedrive), 0o700))
	o.Fakes.Fakedrive = program
	o.OnPhase = func(p record.Phase) {
		b, err := os.ReadFile(note)
		if p.Name != "warm-up" || err != nil {
			return
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	tr, err := trial.Run(t.Context(), o)
	require.ErrorIs(t, err, trial.ErrSetup)
	require.ErrorContains(t, err, "fakedrive ended with signal: killed")
	require.Empty(t, tr.Outcome)
	require.Contains(t, tr.Reason, "fakedrive ended")
}
