package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/setting"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/wire"
)

// envPrefix begins the environment variable of each flag: --max-idle-conns is MIGRATOR_MAX_IDLE_CONNS.
const envPrefix = "MIGRATOR_"

// settings are what flags, environment and file say.
type settings struct {
	file string
	wire wire.Settings
	copy migrator.Config

	memory       int64 // for which fit chooses other settings; 0 leaves them
	stateDir     string
	stopTimeout  time.Duration
	pyroscopeURL string
	exports      []string
	after        string
}

func newSettings() *settings {
	s := &settings{wire: wire.DefaultSettings(), copy: migrator.DefaultConfig(), stopTimeout: 25 * time.Second}
	return s
}

// addSides adds the flags of Drive and S3 and of the connections to them.
func (s *settings) addSides(f *pflag.FlagSet) {
	w := &s.wire
	f.StringVar(&s.file, "config", "", "YAML file with settings, named as the flags are")
	f.StringVar(&w.DriveEndpoint, "drive-endpoint", "", "base URL of Drive (default Google's)")
	f.StringVar(&w.DriveID, "drive-id", "", "shared drive to stay in")
	f.IntVar(&w.PageSize, "page-size", w.PageSize, "entries per list request")
	f.StringVar(&w.CredentialsFile, "credentials-file", "",
		"JSON of a service account, user or external account (default Google's chain, ADC)")
	f.StringVar(&w.Impersonate, "impersonate", "", "user whom the service account acts for, by domain-wide delegation")
	f.StringVar(&w.ClientID, "oauth-client-id", "", "OAuth client of the refresh token")
	f.StringVar(&w.ClientSecret, "oauth-client-secret", "", "secret of the OAuth client; better set by the environment")
	f.StringVar(&w.RefreshToken, "oauth-refresh-token", "", "OAuth refresh token; better set by the environment")
	f.BoolVar(&w.AcknowledgeAbuse, "acknowledge-abuse", w.AcknowledgeAbuse,
		"download what Google holds to be malware, too")
	f.StringVar(&w.S3Endpoint, "s3-endpoint", "", "base URL of the store (default AWS)")
	f.StringVar(&w.Bucket, "bucket", "", "bucket to copy to")
	f.StringVar(&w.Region, "region", "", "region of the bucket (default from the AWS settings)")
	f.StringVar(&w.Profile, "profile", "", "profile of the AWS settings")
	f.BoolVar(&w.PathStyle, "path-style", false, "put the bucket into the path of URLs; on by itself with --s3-endpoint")
	f.StringVar(&w.StorageClass, "storage-class", "", "storage class of new objects")
	f.StringVar(&w.SSE, "sse", "", "server-side encryption of new objects: AES256 or aws:kms")
	f.IntVar(&w.MaxIdleConns, "max-idle-conns", w.MaxIdleConns, "idle connections kept to each side")
	f.IntVar(&w.MaxIdleConnsPerHost, "max-idle-conns-per-host", w.MaxIdleConnsPerHost,
		"idle connections kept to each host")
	f.IntVar(&w.MaxConnsPerHost, "max-conns-per-host", 0, "connections to each host; 0 is no bound")
	f.Var((*sizeInt)(&w.ReadBuffer), "read-buffer", "read buffer of a connection")
	f.Var((*sizeInt)(&w.WriteBuffer), "write-buffer", "write buffer of a connection")
	f.DurationVar(&w.IdleConnTimeout, "idle-conn-timeout", w.IdleConnTimeout, "how long an idle connection is kept")
	f.BoolVar(&w.HTTP2, "http2", false, "allow HTTP/2, with windows of 256 KiB per stream")
	f.StringVar(&w.CAFile, "ca-file", "", "PEM of certificate authorities to trust besides the system's")
}

// sizeInt is a size for settings that are an int.
type sizeInt int

func (s *sizeInt) String() string { return units.Bytes(*s).String() }
func (s *sizeInt) Type() string   { return "size" }
func (s *sizeInt) Set(v string) error {
	var n units.Bytes
	err := n.Set(v)
	*s = sizeInt(n)
	return err
}

// addWork adds the flags of how a migration goes.
func (s *settings) addWork(f *pflag.FlagSet) {
	c := &s.copy
	f.Var((*units.Bytes)(&s.memory), "memory",
		"memory of the process besides its program's pages: chooses workers, buffers and GOMEMLIMIT")
	f.IntVar(&c.Workers, "workers", c.Workers, "files copied at once")
	f.IntVar(&c.DiscoveryWorkers, "discovery-workers", c.DiscoveryWorkers, "folders listed at once")
	f.Var((*units.Bytes)(&c.MultipartThreshold), "multipart-threshold",
		"largest file stored by one request; larger ones go in parts and can be taken up again")
	f.Var((*units.Bytes)(&c.PartSize), "part-size", "smallest part; S3 takes 5MiB and more")
	f.IntVar(&c.Attempts, "attempts", c.Attempts, "tries of one request")
	f.DurationVar(&c.Backoff, "backoff", c.Backoff, "pause before the second try; doubles for each further one")
	f.DurationVar(&c.BackoffMax, "backoff-max", c.BackoffMax, "longest pause between tries")
	f.DurationVar(&c.IdleTimeout, "idle-timeout", c.IdleTimeout, "ask again when Drive has sent nothing for as long")
	f.DurationVar(&c.SinkTimeout, "sink-timeout", c.SinkTimeout,
		"ask again when the store has neither read nor replied for as long")
	f.DurationVar(&c.DailyPause, "daily-pause", 0,
		"pause when the day's quota is used up; 0 is until midnight Pacific time")
	f.Float64Var(&c.CallRate, "call-rate", 0,
		"requests to Drive per second; 0 is as many as it allows, slowed down when it complains")
	f.Var((*units.Bytes)(&c.Bandwidth), "bandwidth", "content bytes per second; 0 is unlimited")
	f.StringSliceVar(&c.Filter.Include, "include", nil, "copy only files whose path fits a glob as in '**/*.jpg'")
	f.StringSliceVar(&c.Filter.Exclude, "exclude", nil, "leave out files whose path fits a glob")
	f.Var((*units.Bytes)(&c.Filter.MinSize), "min-size", "leave out smaller files")
	f.Var((*units.Bytes)(&c.Filter.MaxSize), "max-size", "leave out larger files; 0 is no bound")
	f.StringVar(&s.after, "modified-after", "",
		"leave out files not modified after a time as in 2026-01-31 or 2026-01-31T12:00:00Z")
	f.StringSliceVar(&s.exports, "export", nil,
		"format of a kind of Google document, as in document=pdf; none leaves the kind out")
	f.IntVar(&c.ShortcutDepth, "shortcut-depth", c.ShortcutDepth, "shortcuts to folders followed on the way to a file")
	f.BoolVar(&c.Force, "force", false, "copy files that are unchanged, too")
	f.StringVar(&c.SpoolDir, "spool-dir", "",
		"where exports wait for their length to be known (default the system's temporary folder)")
	f.StringVar(&s.stateDir, "state-dir", "",
		"where unfinished work is kept (default ~/.local/state/migrator; of serve a temporary folder)")
	f.DurationVar(&s.stopTimeout, "stop-timeout", s.stopTimeout, "how long files in progress may take after SIGTERM")
	f.StringVar(&s.pyroscopeURL, "pyroscope-url", "", "Pyroscope server to send profiles to")
}

// load fills in what the command line doesn't say: the environment first, then the file.
func (s *settings) load(c *cobra.Command) error {
	f := c.Flags()
	var errs []error
	set := func(fl *pflag.Flag, from, value string) {
		if err := f.Set(fl.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", from, err))
		}
	}
	given := map[string]bool{}
	f.VisitAll(func(fl *pflag.Flag) {
		if fl.Changed {
			given[fl.Name] = true
		} else if v, ok := os.LookupEnv(envName(fl.Name)); ok {
			set(fl, envName(fl.Name), v)
			given[fl.Name] = true
		}
	})
	if s.file != "" {
		err := readFile(s.file, func(key, value, pos string) error {
			fl := f.Lookup(key)
			if fl == nil || key == "config" || key == "help" {
				return fmt.Errorf("%s: unknown setting %q", pos, key)
			}
			if !given[key] {
				set(fl, pos, value)
			}
			return nil
		})
		errs = append(errs, err)
	}
	errs = append(errs, s.parse(), setting.Flags(f))
	if err := errors.Join(errs...); err != nil {
		return exitcode.Usage(err)
	}
	if err := s.fit(f); err != nil {
		return exitcode.Usage(err)
	}
	return nil
}

func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// readFile calls f with each setting of a YAML file and where it stands. Lists become comma-separated.
func readFile(path string, f func(key, value, pos string) error) error {
	b, err := bounded.ReadFile(path, bounded.Config)
	if err != nil {
		return err
	}
	body, err := bounded.Document(b, bounded.Config)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if body == nil {
		return nil
	}
	m, ok := body.(*ast.MappingNode)
	if !ok {
		return fmt.Errorf("%s: want lines as in 'workers: 8'", path)
	}
	for _, kv := range m.Values {
		p := kv.Key.GetToken().Position
		pos := fmt.Sprintf("%s:%d:%d", path, p.Line, p.Column)
		value, err := scalar(kv.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", pos, err)
		}
		if err := f(kv.Key.String(), value, pos); err != nil {
			return err
		}
	}
	return nil
}

func scalar(n ast.Node) (string, error) {
	switch v := n.(type) {
	case *ast.SequenceNode:
		var list []string
		for _, e := range v.Values {
			s, err := scalar(e)
			if err != nil {
				return "", err
			}
			list = append(list, s)
		}
		return strings.Join(list, ","), nil
	case ast.ScalarNode:
		return v.GetToken().Value, nil
	}
	return "", errors.New("want a value or a list of values")
}

// formats are the MIME types of export formats, by extension.
var formats = map[string]string{
	"pdf": "application/pdf", "txt": "text/plain", "html": "text/html", "rtf": "application/rtf", "csv": "text/csv",
	"md": "text/markdown", "epub": "application/epub+zip", "png": "image/png", "jpg": "image/jpeg", "svg": "image/svg+xml",
	"docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	"odt":  "application/vnd.oasis.opendocument.text", "ods": "application/vnd.oasis.opendocument.spreadsheet",
	"odp":  "application/vnd.oasis.opendocument.presentation",
	"json": "application/vnd.google-apps.script+json",
}

// parse turns texts into what the library wants.
func (s *settings) parse() error {
	var errs []error
	for _, x := range s.exports {
		kind, ext, ok := strings.Cut(x, "=")
		mime := "application/vnd.google-apps." + kind
		format, known := formats[ext]
		switch {
		case ok && ext == "none":
			delete(s.copy.Exports, mime)
		case !ok || !known:
			errs = append(errs, fmt.Errorf("--export %s: want a kind and one of the formats none, %s, as in document=pdf", x,
				strings.Join(slices.Sorted(maps.Keys(formats)), ", ")))
		default:
			s.copy.Exports[mime] = migrator.Export{MIME: format, Ext: "." + ext}
		}
	}
	if s.after != "" {
		t, err := time.Parse(time.RFC3339, s.after)
		if err != nil {
			t, err = time.Parse(time.DateOnly, s.after)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("--modified-after %q: want a time as in 2026-01-31 or 2026-01-31T12:00:00Z", s.after))
		}
		s.copy.Filter.ModifiedAfter = t
	}
	return errors.Join(errs...)
}
