package soak

import (
	"regexp"
	"strings"
)

// workersName is the name of a flag or a variable that says how many workers a service has: --workers, APP_WORKERS,
// NUM_WORKERS.
var workersName = regexp.MustCompile(`(?i)^(?:-{1,2})?(?:[a-z0-9]+[-_.])*workers$`)

// wholeNumber is a count.
var wholeNumber = regexp.MustCompile(`^[1-9][0-9]{0,5}$`)

// workersSetting turns the number of workers, where the command or its environment says one, into the setting
// `workers`, so that it can be an axis. It changes args and env, and returns the number; "" where none or several are
// said.
func workersSetting(args []string, env map[string]string) string {
	type place struct {
		value string
		set   func(string)
	}
	var found []place
	for i, a := range args {
		name, value, joined := strings.Cut(a, "=")
		switch {
		case joined && strings.HasPrefix(a, "-") && workersName.MatchString(name) && wholeNumber.MatchString(value):
			found = append(found, place{value, func(v string) { args[i] = name + "=" + v }})
		case !joined && strings.HasPrefix(a, "-") && workersName.MatchString(a) && i+1 < len(args) &&
			wholeNumber.MatchString(args[i+1]):
			found = append(found, place{args[i+1], func(v string) { args[i+1] = v }})
		}
	}
	for name, value := range env {
		if workersName.MatchString(name) && wholeNumber.MatchString(value) {
			found = append(found, place{value, func(v string) { env[name] = v }})
		}
	}
	if len(found) != 1 {
		return ""
	}
	found[0].set("{{.workers}}")
	return found[0].value
}
