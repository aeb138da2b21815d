package subject

import (
	"slices"
	"strings"
)

// credentials let any S3 client sign its requests; the sink checks no signature. No client may go looking for better
// ones on the machine's network.
var credentials = []string{
	"AWS_ACCESS_KEY_ID=soak", "AWS_SECRET_ACCESS_KEY=soak", "AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true",
}

// foreign are the variables, and those that begin with foreignPrefixes, that a subject doesn't inherit: they would send
// it elsewhere or change its memory, and a trial must not depend on who started it. `env` in the subject file may set
// any of them.
var (
	foreign = []string{"http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir",
		"gogc", "gomemlimit", "gomaxprocs", "godebug", "gotraceback", "google_application_credentials"}
	foreignPrefixes = []string{"aws_", "rclone_"}
)

// cleanEnv is the environment without foreign variables.
func cleanEnv(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(strings.ToLower(kv), "=")
		return slices.Contains(foreign, name) || slices.ContainsFunc(foreignPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	})
}
