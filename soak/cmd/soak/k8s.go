package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/internal/exitcode"
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
		Long: `Print a ConfigMap with the configuration and an Indexed Job that runs its matrix, one shard a pod. Each pod stores its
shard in S3, and 'soak merge' joins them. The image needs soak, fakedrive and the subject on its PATH.

The pods are privileged: each makes a memory cgroup of its own for the subject below the pod's.`,
		Example: `  soak k8s -f soak.yaml --shards 4 --image registry.example/memsoak:1 --upload s3://results/nightly | kubectl apply -f -
  soak merge s3://results/nightly --out soak-results/nightly`,
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
	for _, obj := range []any{config, job} {
		b, err := yaml.Marshal(obj)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "---\n%s", b)
	}
	return nil
}

func (f *k8sFlags) check(p *soak.Plan) error {
	if errs := validation.IsDNS1123Subdomain(f.name); len(errs) > 0 {
		return fmt.Errorf("--name %q: %s", f.name, errs[0])
	}
	if _, _, err := remote.Split(f.upload); err != nil {
		return fmt.Errorf("--upload: %w", err)
	}
	if f.shards < 1 || int(f.shards) > len(p.Cells) {
		return fmt.Errorf("--shards %d: the matrix has %d cells", f.shards, len(p.Cells))
	}
	return nil
}

func (f *k8sFlags) meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: f.name, Namespace: f.namespace, Labels: map[string]string{"app.kubernetes.io/name": "memsoak"}}
}

// configDir is where the configuration is mounted; the pods start there, so that relative paths in it hold.
const configDir = "/etc/memsoak"

// configMap has soak.yaml and the files that it names.
func (f *k8sFlags) configMap(cfg soak.Config) (*corev1.ConfigMap, error) {
	m := &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: f.meta(), Data: map[string]string{}}
	b, err := bounded.ReadFile(f.file, bounded.Config)
	if err != nil {
		return nil, err
	}
	m.Data["soak.yaml"] = string(b)
	for _, path := range []string{cfg.Subject, cfg.Corpus, cfg.Protocol} {
		b, err := bounded.ReadFile(path, bounded.Config)
		if err != nil {
			continue // a name and no file: the plan has checked it
		}
		if filepath.Base(path) != path {
			return nil, fmt.Errorf("%s is in another directory: put it beside soak.yaml, so that its name holds in the pod", path)
		}
		m.Data[path] = string(b)
	}
	return m, nil
}

func (f *k8sFlags) job(p *soak.Plan) (*batchv1.Job, error) {
	cpu, err := resource.ParseQuantity(f.cpu)
	if err != nil {
		return nil, fmt.Errorf("--cpu %q: %w", f.cpu, err)
	}
	memory, err := resource.ParseQuantity(f.memory)
	if err != nil {
		return nil, fmt.Errorf("--memory %q: %w", f.memory, err)
	}
	const spare = 1 << 30
	if limit := int64(p.Config.Limit); limit > 0 && memory.Value() < limit+spare {
		return nil, fmt.Errorf("--memory %s is less than the subject's limit and 1Gi for fakes and harness", f.memory)
	}
	args := []string{"run", "-f", "soak.yaml", "--shard", fmt.Sprintf("job/%d", f.shards), "--out", "/results/run", "--upload", f.upload}
	if f.endpoint != "" {
		args = append(args, "--s3-endpoint", f.endpoint)
	}
	yes, retries := true, int32(1)
	indexed := batchv1.IndexedCompletion
	c := corev1.Container{
		Name: "soak", Image: f.image, Command: []string{"soak"}, Args: args, WorkingDir: configDir,
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: cpu, corev1.ResourceMemory: memory},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: memory},
		},
		SecurityContext: &corev1.SecurityContext{Privileged: &yes},
		VolumeMounts:    []corev1.VolumeMount{{Name: "config", MountPath: configDir}, {Name: "results", MountPath: "/results"}},
	}
	if f.secret != "" {
		c.EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: f.secret}}}}
	}
	return &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: f.meta(),
		Spec: batchv1.JobSpec{
			Completions: &f.shards, Parallelism: &f.shards, CompletionMode: &indexed, BackoffLimitPerIndex: &retries,
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{c},
				Volumes: []corev1.Volume{
					{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: f.name}}}},
					{Name: "results", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				},
			}},
		},
	}, nil
}
