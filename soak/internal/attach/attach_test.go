package attach

import (
	"fmt"
	"net/http/httptest"
	_ "net/http/pprof"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"net/http"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

// TestMain is the program that the tests attach to, when its environment says so.
func TestMain(m *testing.M) {
	switch os.Getenv("ATTACH_TEST") {
	case "serve":
		s := httptest.NewServer(http.DefaultServeMux)
		fmt.Println(s.URL)
		select {}
	case "fail":
		os.Exit(7)
	}
	os.Exit(m.Run())
}

func TestACommandIsFoundByItsPortsAndEndedWithTheRecording(t *testing.T) {
	t.Setenv("ATTACH_TEST", "serve")
	target, err := Command(t.Context(), []string{os.Args[0]}, "", t.Output())
	require.NoError(t, err)
	assert.Contains(t, target.Pprof, "/debug/pprof")
	assert.Positive(t, target.PID)

	other, err := Process(t.Context(), target.PID, "")
	require.NoError(t, err)
	assert.Equal(t, target.Pprof, other.Pprof)
	defer other.Close()

	target.Close()
	<-other.Done
	end := target.End(t.Context())
	assert.Equal(t, record.Crashed, end.Outcome)
	assert.Contains(t, end.Reason, "terminated")
	assert.Empty(t, other.End(t.Context()).Outcome, "only the parent knows")
}

func TestACommandThatEndsAtOnceSaysHow(t *testing.T) {
	t.Setenv("ATTACH_TEST", "fail")
	_, err := Command(t.Context(), []string{os.Args[0]}, "", t.Output())
	require.ErrorContains(t, err, "exit code 7")
}

func TestAProcessThatIsNotThereOrServesNothingIsRefused(t *testing.T) {
	_, err := Process(t.Context(), 1<<22+1, "")
	require.ErrorContains(t, err, "no process")
	_, err = Process(t.Context(), os.Getpid(), "")
	require.ErrorIs(t, err, ErrNoPprof)
}

// kubectl writes a program that forwards to url and says of the pod's container what it is given.
func kubectl(t *testing.T, url, state string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubectl")
	script := fmt.Sprintf(`#!/bin/sh
case "$*" in
*port-forward*pod/cart*:6060) echo "Forwarding from %s -> 6060"; sleep 0.1 & wait; exec sleep 600;;
*port-forward*) echo "Error from server (NotFound): pods not found" >&2; exit 1;;
*"get pod cart"*) printf '%%s\n' "%s";;
esac
`, strings.TrimPrefix(url, "http://"), state)
	require.NoError(t, os.WriteFile(path, []byte(script), 0o755))
	return path
}

func TestAPodIsReachedByAForwardedPort(t *testing.T) {
	s := httptest.NewServer(http.DefaultServeMux)
	defer s.Close()
	for state, want := range map[string]record.Outcome{"cart 3 OOMKilled 137": record.OOMKilled,
		"cart 1 Error 2": record.Crashed, "cart 0": ""} {
		target, err := Pod(t.Context(), kubectl(t, s.URL, state), "shop/cart", DefaultPodPort)
		require.NoError(t, err)
		assert.Equal(t, s.URL+"/debug/pprof", target.Pprof)
		target.Close()
		<-target.Done
		assert.Equal(t, want, target.End(t.Context()).Outcome, state)
	}
	_, err := Pod(t.Context(), kubectl(t, s.URL, ""), "shop/gone", DefaultPodPort)
	require.ErrorContains(t, err, "NotFound")
	_, err = Pod(t.Context(), "kubectl", "shop/", DefaultPodPort)
	require.ErrorContains(t, err, "namespace/name")
}
