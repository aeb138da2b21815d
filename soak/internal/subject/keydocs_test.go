package subject

import (
	"fmt"
	"strings"

	"github.com/memsoak/memsoak/soak/internal/load"
)

// Doc is what a reader has to know of a key of a subject file, or of a placeholder.
type Doc struct{ Name, Meaning string }

// Keys lists every key of a subject file. A test holds it to the types that are read.
var Keys = []Doc{
	{"name", "name of the subject; becomes part of file names"},
	{"command", "program and arguments; one that expands to nothing is dropped"},
	{"env", "variables of the subject"},
	{"pass_env", "names of variables that it inherits besides the usual few"},
	{"user", "account that it runs as, where memsoak is root"},
	{"pprof", "base URL of its net/http/pprof"},
	{"metrics", "URL of its Prometheus metrics; optional"},
	{"ready", "URL that answers 200 when it can work; default: the index of pprof"},
	{"addr", "host:port at which it listens, where it takes no other; default: a free one"},
	{"module", "module whose code is blamed; default: read from the binary"},
	{"settings", "defaults of placeholders, which axes and --set override"},
	{"concurrency", "the setting that says how many items are in work; default `workers`, else `concurrency`"},
	{"files", "name to content, written into `{{.dir}}` before each start"},
	{"build", "command that builds the subject, for `subject_ref`"},
	{"wave", "a copier's work: a request whose end is the wave's end, or the word `exit` for a command that runs once"},
	{"wave.method", "default POST"},
	{"wave.url", "where the request goes"},
	{"wave.headers", "its headers"},
	{"wave.body", "its body"},
	{"wave.start", "the request of work that is answered before it is done; has the keys of `wave`"},
	{"wave.poll.url", "asked with GET after the request; has `{{.reply.FIELD}}` of the answer, `{{.reply.location}}`"},
	{"wave.poll.until", "regular expression: the work is done when the answer matches"},
	{"wave.poll.failed", "regular expression: the work has failed when the answer matches"},
	{"wave.poll.every", "time between two questions; default 100ms"},
	{"load", "a service's work, in place of `wave`: one of `targets`, `command`, `consume`"},
	{"load.targets", "requests that memsoak makes, one after the other in turn"},
	{"load.targets.method", "default GET"},
	{"load.targets.url", "must begin with `http://{{.addr}}` or `https://{{.addr}}`, where memsoak's gate stands"},
	{"load.targets.headers", "its headers; `Transfer-Encoding: chunked` sends the body without its length"},
	{"load.targets.body", "its body; `{{.blob}}` is `{{.size}}` bytes, streamed"},
	{"load.command", "a load generator, such as k6, vegeta or a script: one run is one wave, its exit is the wave's end"},
	{"load.consume.counter", "of a subject that fetches its work itself: a counter of its metrics, one more is one item"},
	{"load.consume.upstream", "its queue, where it is held between waves; without a counter a request is an item"},
	{"load.consume.for", "how long a wave may last at most; default 10s"},
	{"load.concurrency", "requests in flight; default `{{.concurrency}}`, a setting, default 16"},
	{"load.rate", "requests a second; default as fast as they come"},
	{"load.expect", "statuses that are no failure; default 200 to 399"},
	{"upstreams", "name to address (`http`, `https`, `grpc`, `grpcs` or `tcp`) of what it calls, or to a `reply`"},
	{"upstreams.address", "the address, where the upstream is written as a map"},
	{"upstreams.reply.status", "memsoak answers in the upstream's place: its status, default 200"},
	{"upstreams.reply.headers", "its headers"},
	{"upstreams.reply.body", "its body"},
	{"upstreams.reply.size", "its body's size, for `{{.size}}`"},
	{"upstreams.reply.delay", "time before it is sent"},
}

// PlaceholderDocs lists every placeholder that memsoak fills in. All others are settings.
var PlaceholderDocs = []Doc{
	{"addr", "host:port at which the subject has to listen; in a `load`, the gate before it"},
	{"dir", "a temporary directory of this start"},
	{"upstream", "`{{.upstream.NAME}}`: the URL of the gate before an upstream, or host:port of gRPC or raw TCP"},
	{"ca_file", "certificate of the CA of gates and fakes with TLS; SSL_CERT_FILE as well"},
	{"n", "number of the request within its wave; in a load command, how many to make (" + load.CommandEnv["n"] + ")"},
	{"key", "a key, fresh for each request, the same again in a wave that is repeated (" + load.CommandEnv["key"] + ")"},
	{"size", "bytes of the work, stepped by the experiment (" + load.CommandEnv["size"] + ")"},
	{"blob", "so many bytes, in a body alone"},
	{"seed", "seed of the trial (" + load.CommandEnv["seed"] + ")"},
	{"reply", "`{{.reply.FIELD}}`: the answer to the wave's request, in `wave.poll.url` alone"},
	{"drive_url", "the fake Drive"},
	{"s3_url", "the S3 sink"},
	{"bucket", "its bucket"},
	{"root", "folder id of this wave's tree, in `wave` alone"},
	{"prefix", "where the wave's copies go, in `wave` alone"},
	{"proxy_url", "proxy that leads Google's hosts to the fake Drive"},
}

// Table is the documentation of keys and placeholders as Markdown.
func Table() string {
	var b strings.Builder
	row := func(name, meaning string) { fmt.Fprintf(&b, "| `%s` | %s |\n", name, meaning) }
	b.WriteString("| key | meaning |\n|---|---|\n")
	for _, k := range Keys {
		row(k.Name, k.Meaning)
	}
	b.WriteString("\n| placeholder | what memsoak fills in |\n|---|---|\n")
	for _, k := range PlaceholderDocs {
		row("{{."+k.Name+"}}", k.Meaning)
	}
	return b.String()
}
