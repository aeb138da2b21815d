package subject

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// credentials let any S3 client sign its requests; the sink checks no signature. No client may go looking for better
// ones on the machine's network.
var credentials = []string{
	"AWS_ACCESS_KEY_ID=soak", "AWS_SECRET_ACCESS_KEY=soak", "AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true",
}

// inherited are the variables that a subject gets from memsoak's environment. All others stay behind: secrets, because
// a subject has no need of them, and proxies, GOGC and the like, because a trial must not depend on who started it.
// `env` sets any variable, `pass_env` names more that are inherited.
var inherited = []string{
	"PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ", // LC_ALL and LANG are one setting in two places
	"GOROOT", "GOPATH", "GOCACHE", "GOMODCACHE", "GOTOOLCHAIN", "GOCOVERDIR",
}

// builders are variables that a build needs besides: where modules come from and how they are reached.
var builders = []string{
	"GOFLAGS", "GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOINSECURE", "GOENV", "GOWORK", "GOARCH",
	"GOOS", "CGO_ENABLED",
	"GOTMPDIR", "CC", "CXX", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
	"SSL_CERT_FILE", "SSL_CERT_DIR",
	"XDG_CACHE_HOME", "XDG_CONFIG_HOME",
}

// variableName is what `env` and `pass_env` may name.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// keep returns the variables of env with one of the names.
func keep(env []string, names ...[]string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return !slices.ContainsFunc(names, func(list []string) bool { return slices.Contains(list, name) })
	})
}

// BuildEnv is the environment of the command that builds the subject.
func (s *Spec) BuildEnv() []string { return keep(os.Environ(), inherited, builders, s.PassEnv) }

// Public is the spec as it may be stored and shown: without the values of variables and headers, which may be secrets.
func (s *Spec) Public() *Spec {
	out := *s
	out.Env, out.Wave.Headers = hidden(s.Env), hidden(s.Wave.Headers)
	if s.Load != nil {
		out.Load = new(*s.Load)
		out.Load.Targets = slices.Clone(s.Load.Targets)
		for i := range out.Load.Targets {
			out.Load.Targets[i].Headers = hidden(s.Load.Targets[i].Headers)
		}
	}
	return &out
}

// notRecorded stands for a value in a Public spec.
const notRecorded = "(not recorded)"

func hidden(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	out := map[string]string{}
	for k := range m {
		out[k] = notRecorded
	}
	return out
}

// KeepsSecrets says whether the spec is one of Public that lacks values.
func (s *Spec) KeepsSecrets() bool {
	for _, m := range s.secretMaps() {
		for _, v := range m {
			if v == notRecorded {
				return true
			}
		}
	}
	return false
}

// TakeSecrets fills in the values that Public took away, from the spec that it was made of.
func (s *Spec) TakeSecrets(from *Spec) error {
	others := from.secretMaps()
	for i, own := range s.secretMaps() {
		for k, v := range own {
			if v != notRecorded {
				continue
			}
			if i >= len(others) {
				return fmt.Errorf("%s has no value any more", k)
			}
			value, ok := others[i][k]
			if !ok {
				return fmt.Errorf("%s has no value any more", k)
			}
			own[k] = value
		}
	}
	return nil
}

// secretMaps are the parts whose values may be secrets, in a fixed order.
func (s *Spec) secretMaps() []map[string]string {
	out := []map[string]string{s.Env, s.Wave.Headers}
	if s.Load != nil {
		for _, t := range s.Load.Targets {
			out = append(out, t.Headers)
		}
	}
	return out
}

func (s *Spec) checkEnv() error {
	for _, name := range slices.Concat(slices.Sorted(keys(s.Env)), s.PassEnv) {
		if !variableName.MatchString(name) {
			return fmt.Errorf("%w: %q is not the name of an environment variable", ErrInvalid, name)
		}
	}
	return nil
}

// become makes cmd run as another user, who gets dir as well. Only root can.
func become(cmd *exec.Cmd, name, dir string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("user: %w", err)
	}
	uid, uerr := strconv.Atoi(u.Uid)
	gid, gerr := strconv.Atoi(u.Gid)
	switch {
	case uerr != nil || gerr != nil:
		return fmt.Errorf("user %s: its ids are no numbers here", name)
	case os.Geteuid() != 0:
		return fmt.Errorf("user %s: only root can start a subject as another user", name)
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		return fmt.Errorf("user %s: %w; install util-linux", name, err)
	}
	err = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path,
			uid, gid))
	})
	if err != nil {
		return fmt.Errorf("user %s: %w", name, err)
	}
	// A command of its own and not an attribute of the process, since entering a cgroup needs the privileges still.
	cmd.Args = append([]string{"setpriv", "--reuid=" + u.Uid, "--regid=" + u.Gid, "--clear-groups", "--no-new-privs", "--",
		cmd.Path}, cmd.Args[1:]...)
	cmd.Path = setpriv
	return nil
}
