package subject

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const envSpec = `
name: s
command: ["true"]
pprof: "http://{{.addr}}/debug/pprof"
wave: {url: "http://{{.addr}}/w"}
env: {OWN: "x{{.dir}}"}
pass_env: [WANTED, NOT_SET]
`

func TestSubjectInheritsOnlyTheAllowList(t *testing.T) {
	for _, kv := range []string{"GITHUB_TOKEN", "VAULT_TOKEN", "DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "https_proxy",
		"GOGC", "GODEBUG", "GOAUTH"} {
		t.Setenv(kv, "secret")
	}
	t.Setenv("WANTED", "1")
	t.Setenv("TZ", "UTC")
	s, err := Parse([]byte(envSpec))
	require.NoError(t, err)
	p := &Process{Spec: s, values: map[string]string{"addr": "127.0.0.1:1", "dir": "/d"}, dir: t.TempDir()}
	require.NoError(t, p.expand(Options{Env: []string{"GOGC=50"}}))
	env := strings.Join(p.cmd.Env, "\n") + "\n"
	assert.NotContains(t, env, "secret")
	for _, want := range []string{"PATH=" + os.Getenv("PATH"), "TZ=UTC", "WANTED=1", "OWN=x/d", "GOGC=50",
		"AWS_ACCESS_KEY_ID=soak"} {
		assert.Contains(t, env, want+"\n")
	}
	assert.NotContains(t, env, "NOT_SET")
	build := strings.Join(s.BuildEnv(), "\n")
	assert.Contains(t, build, "https_proxy=secret", "modules come through it")
	assert.NotContains(t, build, "GITHUB_TOKEN")
}

func TestVariableNamesAreChecked(t *testing.T) {
	for _, change := range [][2]string{
		{"pass_env: [WANTED, NOT_SET]", "pass_env: ['A=b']"},
		{`env: {OWN: "x{{.dir}}"}`, `env: {"1 2": x}`},
	} {
		_, err := Parse([]byte(strings.Replace(envSpec, change[0], change[1], 1)))
		require.ErrorIs(t, err, ErrInvalid, change[1])
	}
}

func TestPublicSpecHasNoValuesOfVariables(t *testing.T) {
	s, err := Parse([]byte(envSpec))
	require.NoError(t, err)
	s.Env["TOKEN"] = "hunter2"
	s.Wave.Headers = map[string]string{"Authorization": "hunter2"}
	pub := s.Public()
	assert.NotContains(t, pub.Env["TOKEN"]+pub.Wave.Headers["Authorization"], "hunter2")
	assert.Contains(t, pub.Env, "TOKEN")
	assert.Equal(t, "hunter2", s.Env["TOKEN"], "the spec itself stays as it is")
}

func TestSubjectRunsAsAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can start a process as another user")
	}
	dir, err := os.MkdirTemp("", "memsoak-user-")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o600))
	id, err := exec.LookPath("id")
	require.NoError(t, err)
	cmd := exec.Command(id, "-un")
	require.NoError(t, become(cmd, "nobody", dir))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Equal(t, "nobody\n", string(out))
	assert.ErrorContains(t, become(exec.Command(id), "no-such-user", dir), "no-such-user")
}
