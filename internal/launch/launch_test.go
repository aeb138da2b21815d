package launch

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sh starts a shell program whose $1 is the address file: it stands behind --addr-file.
func sh(t *testing.T, script string) *Process {
	t.Helper()
	p, err := Start("fake", t.TempDir(), exec.Command("sh", "-c", script), (*exec.Cmd).Start)
	require.NoError(t, err)
	return p
}

func TestAddressesAreReadAndTheProcessIsStopped(t *testing.T) {
	p := sh(t, `echo '{"http":"here"}' > "$1.new"; mv "$1.new" "$1"; sleep 60`)
	var at struct{ HTTP string }
	require.NoError(t, p.Await(t.Context(), &at))
	require.Equal(t, "here", at.HTTP)
	require.NoError(t, p.Ended(0))
	p.Stop()
	require.ErrorContains(t, p.Ended(0), "signal: killed")
	p.Stop()
}

func TestAProcessThatEndsBeforeItListensSaysHow(t *testing.T) {
	p := sh(t, `echo no such port >&2; exit 3`)
	require.EqualError(t, p.Await(t.Context(), nil), "fake ended with exit status 3: no such port")
	p.Stop()
}

func TestAProcessThatNeverListensIsWaitedForNoLongerThanAsked(t *testing.T) {
	p := sh(t, `sleep 60`)
	defer p.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.Await(ctx, nil), context.DeadlineExceeded)
}
