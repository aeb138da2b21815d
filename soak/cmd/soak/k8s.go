package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/remote"
)

// k8sFlags are the flags of soak k8s.
type k8sFlags struct {
	file, name, namespace, image, upload, endpoint, secret, cpu, memory string
	shards                                                              int32
}

func newK8sCmd() *cobra.Command {
	var f k8sFlags
	cmd := &cobra.Command{
		Use:   "k8s",
		Short: "Print Kubernetes manifests that run a matrix as an Indexed Job",
		Long: `Print a ConfigMap with the configuration and an Indexed Job that runs its matrix, one shard a pod. Each pod
stores its shard in S3, and 'soak merge' joins them. The image needs soak, fakedrive and the subject on its PATH.

The pods are privileged: each makes a memory cgroup of its own for the subject below the pod's.`,
		Example: `  soak k8s -f soak.yaml --shards 4 --image example/soak:1 --upload s3://runs/nightly | kubectl apply -f -
  soak merge s3://runs/nightly --out soak-results/nightly`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.print(cmd.OutOrStdout()) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.file, "file", "f", "", "soak.yaml with the configuration (required)")
	fl.StringVar(&f.name, "name", "memsoak", "name of the Job and the ConfigMap")
	fl.StringVar(&f.namespace, "namespace", "", "namespace; default: the context's")
	fl.StringVar(&f.image, "image", "", "container image (required)")
	fl.Int32Var(&f.shards, "shards", 2, "number of pods")
	fl.StringVar(&f.upload, "upload", "", "where the shards go: s3://bucket/prefix (required)")
	fl.StringVar(&f.endpoint, "s3-endpoint", "", "base URL of the S3 service, default AWS")
	fl.StringVar(&f.secret, "secret", "", "secret whose keys become the pods' environment: AWS credentials")
	fl.StringVar(&f.cpu, "cpu", "2", "CPUs of a pod")
	fl.StringVar(&f.memory, "memory", "4Gi", "memory of a pod: the subject's limit, and 1Gi for fakes and harness")
	for _, name := range []string{"file", "image", "upload"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

func (f *k8sFlags) print(w io.Writer) error {
	cfg, err := soak.LoadConfig(f.file)
	if err != nil {
		return exitcode.Usage(err)
	}
	plan, err := soak.NewPlan(cfg, soak.Shard{})
	if err != nil {
		return exitcode.Usage(err)
	}
	if err := f.check(plan); err != nil {
		return exitcode.Usage(err)
	}
	config, err := f.configMap(cfg)
	if err != nil {
		return exitcode.Usage(err)
	}
	job, err := f.job(plan)
	if err != nil {
		return exitcode.Usage(err)
	}
	for _, obj := range []object{config, job} {
		fmt.Fprintln(w, "---")
		if err := writeYAML(w, "", obj); err != nil {
			return err
		}
	}
	return nil
}

func (f *k8sFlags) check(p *soak.Plan) error {
	if len(f.name) > maxJobName || !jobName.MatchString(f.name) {
		return fmt.Errorf("--name %q is no name of Kubernetes: use small letters, digits, - and dots", f.name)
	}
	if _, _, err := remote.Split(f.upload); err != nil {
		return fmt.Errorf("--upload: %w", err)
	}
	if f.shards < 1 || int(f.shards) > len(p.Cells) {
		return fmt.Errorf("--shards %d: the matrix has %d cells", f.shards, len(p.Cells))
	}
	return nil
}

// writeYAML writes an object in YAML that every version of it reads the same: text as JSON has it, or, where it
// is made of plain lines, as a block.
func writeYAML(w io.Writer, indent string, o object) error {
	for _, key := range slices.Sorted(maps.Keys(o)) {
		value := o[key]
		if !plainKey.MatchString(key) || boolean.MatchString(key) {
			key = strconv.Quote(key)
		}
		fmt.Fprintf(w, "%s%s:", indent, key)
		switch v := value.(type) {
		case object:
			fmt.Fprintln(w)
			if err := writeYAML(w, indent+"  ", v); err != nil {
				return err
			}
			continue
		case []object:
			fmt.Fprintln(w)
			for _, item := range v {
				fmt.Fprintf(w, "%s-\n", indent)
				if err := writeYAML(w, indent+"  ", item); err != nil {
					return err
				}
			}
			continue
		case string:
			if plainLines(v) {
				fmt.Fprintf(w, " |\n%s", blockLine.ReplaceAllString(v, indent+"  $0"))
				continue
			}
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(value); err != nil {
			return err
		}
		fmt.Fprintf(w, " %s", b.Bytes())
	}
	return nil
}

// blockLine is a line of a block with something in it; plainKey and boolean are keys that need no quotes, and those of
// them that do, since YAML 1.1 doesn't take them for text.
var (
	blockLine = regexp.MustCompile(`(?m)^.+`)
	plainKey  = regexp.MustCompile(`^[A-Za-z][\w./-]*$`)
	boolean   = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null)$`)
)

// plainLines reports whether text is lines that a block of YAML keeps as they are.
func plainLines(s string) bool {
	odd := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
	return strings.HasSuffix(s, "\n") && !strings.HasSuffix(s, "\n\n") && !strings.ContainsAny(s[:1], " \n") &&
		!strings.ContainsFunc(s, odd)
}

// The parts of a manifest. The tests read the output with the types of Kubernetes itself, strictly.
type object = map[string]any

// manifest is an object of Kubernetes whose body stands under the key of that name.
func (f *k8sFlags) manifest(version, kind, key string, body any) object {
	meta := object{"name": f.name, "labels": object{"app.kubernetes.io/name": "memsoak"}}
	if f.namespace != "" {
		meta["namespace"] = f.namespace
	}
	return object{"apiVersion": version, "kind": kind, "metadata": meta, key: body}
}

// configDir is where the configuration is mounted; the pods start there, so that relative paths in it hold.
const configDir = "/etc/memsoak"

// configMap has soak.yaml and the files that it names.
func (f *k8sFlags) configMap(cfg soak.Config) (object, error) {
	data := object{}
	b, err := bounded.ReadFile(f.file, bounded.Config)
	if err != nil {
		return nil, err
	}
	data["soak.yaml"] = string(b)
	for _, path := range []string{cfg.Subject, cfg.Corpus, cfg.Protocol} {
		b, err := bounded.ReadFile(path, bounded.Config)
		if err != nil {
			continue // a name and no file: the plan has checked it
		}
		if filepath.Base(path) != path {
			return nil, fmt.Errorf("%s is in another directory: put it beside soak.yaml, so that its name holds in the pod",
				path)
		}
		data[path] = string(b)
	}
	return f.manifest("v1", "ConfigMap", "data", data), nil
}

// quantity is a count of processors or a size as Kubernetes reads it; jobName is the name of a Job, a DNS subdomain.
var (
	quantity = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$`)
	jobName  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
)

// maxJobName is the length of the longest name.
const maxJobName = 253

// checkResources refuses what Kubernetes would refuse, and a pod that is too small for its subject.
func (f *k8sFlags) checkResources(limit int64) error {
	if !quantity.MatchString(f.cpu) {
		return fmt.Errorf("--cpu %q is no quantity of Kubernetes; write for example 2 or 500m", f.cpu)
	}
	if !quantity.MatchString(f.memory) || strings.HasSuffix(f.memory, "m") {
		return fmt.Errorf("--memory %q is no size of Kubernetes; write for example 4Gi", f.memory)
	}
	memory, err := units.ParseBytes(f.memory)
	if err != nil {
		return fmt.Errorf("--memory: %w", err)
	}
	const spare = 1 << 30
	if limit > 0 && memory < limit+spare {
		return fmt.Errorf("--memory %s is less than the subject's limit and 1Gi for fakes and harness", f.memory)
	}
	return nil
}

func (f *k8sFlags) job(p *soak.Plan) (object, error) {
	if err := f.checkResources(int64(p.Config.Limit)); err != nil {
		return nil, err
	}
	spec := object{
		"completions": f.shards, "parallelism": f.shards,
		"completionMode": "Indexed", "backoffLimitPerIndex": 1,
		"template": object{"spec": object{
			"restartPolicy": "Never",
			"containers":    []object{f.container()},
			"volumes": []object{
				{"name": "config", "configMap": object{"name": f.name}},
				{"name": "results", "emptyDir": json.RawMessage("{}")},
			},
		}},
	}
	return f.manifest("batch/v1", "Job", "spec", spec), nil
}

// container runs one shard.
func (f *k8sFlags) container() object {
	args := []string{"run", "-f", "soak.yaml", "--shard", fmt.Sprintf("job/%d", f.shards),
		"--out", "/results/run", "--upload", f.upload}
	if f.endpoint != "" {
		args = append(args, "--s3-endpoint", f.endpoint)
	}
	c := object{
		"name": "soak", "image": f.image, "workingDir": configDir,
		"command": []string{"soak"}, "args": args,
		"resources": object{
			"requests": object{"cpu": f.cpu, "memory": f.memory},
			"limits":   object{"memory": f.memory},
		},
		"securityContext": object{"privileged": true},
		"volumeMounts": []object{
			{"name": "config", "mountPath": configDir},
			{"name": "results", "mountPath": "/results"},
		},
	}
	if f.secret != "" {
		c["envFrom"] = []object{{"secretRef": object{"name": f.secret}}}
	}
	return c
}
