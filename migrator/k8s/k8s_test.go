package k8s

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/memsoak/memsoak/internal/needs"
	"github.com/memsoak/memsoak/migrator/internal/rig"
)

// decode reads one manifest strictly: an unknown or doubled field is an error.
func decode(t *testing.T, file string, into ...any) {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	docs := bytes.Split(b, []byte("\n---\n"))
	require.Len(t, docs, len(into), file)
	for i, doc := range docs {
		b, err := yaml.YAMLToJSON(doc)
		require.NoError(t, err, "%s, document %d", file, i+1)
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields()
		require.NoError(t, dec.Decode(into[i]), "%s, document %d", file, i+1)
	}
}

// pod checks what the pods of the migrator have in common and returns the command line.
func pod(t *testing.T, labels, selector map[string]string, p corev1.PodSpec) []string {
	t.Helper()
	for k, v := range selector {
		assert.Equal(t, v, labels[k], "the selector finds the pods")
	}
	require.Len(t, p.Containers, 1)
	c := p.Containers[0]
	assert.Equal(t, "2Gi", c.Resources.Limits.Memory().String())
	var limit *corev1.ResourceFieldSelector
	for _, e := range c.Env {
		assert.NotEqual(t, "GOMEMLIMIT", e.Name, "it would be the whole limit")
		if e.Name == "MEMORY_LIMIT" && e.ValueFrom != nil {
			limit = e.ValueFrom.ResourceFieldRef
		}
	}
	require.NotNil(t, limit, "the limit by the downward API")
	assert.Equal(t, "limits.memory", limit.Resource)
	assert.True(t, limit.Divisor.IsZero(), "in bytes")
	for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe} {
		require.NotNil(t, probe)
		assert.Equal(t, "/healthz", probe.HTTPGet.Path)
		assert.Equal(t, c.Ports[0].Name, probe.HTTPGet.Port.StrVal)
	}
	mounted := map[string]bool{}
	for _, v := range p.Volumes {
		mounted[v.Name] = true
	}
	for _, m := range c.VolumeMounts {
		assert.True(t, mounted[m.Name], "volume %s", m.Name)
	}
	require.Equal(t, []string{"migrator"}, c.Command)
	return c.Args
}

func TestUploaders(t *testing.T) {
	var d appsv1.Deployment
	decode(t, "upload.yaml", &d)
	assert.Equal(t, "apps/v1/Deployment", d.APIVersion+"/"+d.Kind)
	args := pod(t, d.Spec.Template.Labels, d.Spec.Selector.MatchLabels, d.Spec.Template.Spec)
	assert.Equal(t, "upload", args[0])
	assert.Contains(t, args, "--stay", "a Deployment's process doesn't end")
	assert.Contains(t, args, "--stop-timeout=75s")
	assert.Greater(t, *d.Spec.Template.Spec.TerminationGracePeriodSeconds, int64(75))
	flagsExist(t, args)
}

func TestDiscovery(t *testing.T) {
	var j batchv1.Job
	decode(t, "discover.yaml", &j)
	assert.Equal(t, "batch/v1/Job", j.APIVersion+"/"+j.Kind)
	assert.Nil(t, j.Spec.Completions, "a Job on a queue: done when one pod has seen the end")
	assert.Nil(t, j.Spec.Selector)
	args := pod(t, nil, nil, j.Spec.Template.Spec)
	assert.Equal(t, "discover", args[0])
	assert.Equal(t, corev1.RestartPolicyOnFailure, j.Spec.Template.Spec.RestartPolicy)
	flagsExist(t, args)
}

func TestRedis(t *testing.T) {
	var s corev1.Service
	var r appsv1.StatefulSet
	decode(t, "redis.yaml", &s, &r)
	assert.Equal(t, "v1/Service", s.APIVersion+"/"+s.Kind)
	assert.Equal(t, "apps/v1/StatefulSet", r.APIVersion+"/"+r.Kind)
	assert.Equal(t, s.Name, r.Spec.ServiceName)
	assert.Equal(t, s.Spec.Selector, r.Spec.Template.Labels)
	c := r.Spec.Template.Spec.Containers[0]
	assert.Contains(t, strings.Join(c.Args, " "), "--maxmemory-policy noeviction", "what migrator demands")
	assert.Equal(t, r.Spec.VolumeClaimTemplates[0].Name, c.VolumeMounts[0].Name)
}

func TestRabbitMQ(t *testing.T) {
	var s corev1.Service
	var m corev1.ConfigMap
	var r appsv1.StatefulSet
	decode(t, "rabbitmq.yaml", &s, &m, &r)
	assert.Equal(t, "v1/Service", s.APIVersion+"/"+s.Kind)
	assert.Equal(t, "v1/ConfigMap", m.APIVersion+"/"+m.Kind)
	assert.Equal(t, "apps/v1/StatefulSet", r.APIVersion+"/"+r.Kind)
	assert.Equal(t, s.Name, r.Spec.ServiceName)
	assert.Equal(t, s.Spec.Selector, r.Spec.Template.Labels)
	c := r.Spec.Template.Spec.Containers[0]
	mounts := map[string]string{}
	for _, v := range c.VolumeMounts {
		mounts[v.Name] = v.MountPath
	}
	assert.Equal(t, "/var/lib/rabbitmq", mounts[r.Spec.VolumeClaimTemplates[0].Name], "queues are on disk")
	require.Len(t, r.Spec.Template.Spec.Volumes, 1)
	assert.Equal(t, m.Name, r.Spec.Template.Spec.Volumes[0].ConfigMap.Name)
	assert.Equal(t, "/etc/rabbitmq/conf.d", mounts[r.Spec.Template.Spec.Volumes[0].Name])
	assert.Contains(t, m.Data["20-migrator.conf"], "raft.wal_max_size_bytes = 64000000\n")
	assert.Contains(t, m.Data["20-migrator.conf"], "consumer_timeout = ", "uploads may take long")
}

// TestRabbitMQStarts: a real server takes the settings.
func TestRabbitMQStarts(t *testing.T) {
	if os.Getenv("MEMSOAK_LONG") == "" {
		t.Skip("SKIPPED, starting a RabbitMQ with the manifest's settings is part of the long form: MEMSOAK_LONG=1, or " +
			"make test-long")
	}
	var m corev1.ConfigMap
	decode(t, "rabbitmq.yaml", &corev1.Service{}, &m, &appsv1.StatefulSet{})
	s, err := rig.Rabbit(t.Context(), t.TempDir(), strings.Split(m.Data["20-migrator.conf"], "\n")...)
	needs.Skip(t, err)
	require.NoError(t, err)
	s.Stop()
}

// flagsExist compares the flags with the README's of the migrator, which a test of the command keeps true.
func flagsExist(t *testing.T, args []string) {
	t.Helper()
	b, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	for _, a := range args {
		name, isFlag := strings.CutPrefix(strings.SplitN(a, "=", 2)[0], "--")
		if isFlag {
			assert.True(t, bytes.Contains(b, []byte("`"+name+"`")), "the README knows no flag %s", name)
		}
	}
}
