package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

func k8s(t *testing.T, args ...string) (int, []byte, string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(append([]string{"k8s"}, args...), &stdout, &stderr)
	return code, stdout.Bytes(), stderr.String()
}

// asKubernetes reads a manifest into a type of Kubernetes: an unknown or doubled field is an error.
func asKubernetes(t *testing.T, manifest []byte, into any) {
	t.Helper()
	b, err := yaml.YAMLToJSON(manifest)
	require.NoError(t, err, "%s", manifest)
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(into), "%s", manifest)
}

func TestYAMLKeepsEveryText(t *testing.T) {
	want := object{}
	for i, text := range []string{"", "a", "on", "12:30:45", "1e3", "a: b\nc: |\n  x\n", "x\r\ny\r\n", " lead\nb\n",
		"x\n\n",
		"\n", "\tx\n", "# no comment\n", "a\n\nb\n", "ä\u2028\n", "<&>", "--- \n", "%\n"} {
		want[fmt.Sprintf("key-%d", i)] = text
	}
	want["on"], want["not plain"], want["number"] = "y", "n", "3"
	var b bytes.Buffer
	require.NoError(t, writeYAML(&b, "  ", object{"data": want}))
	var got struct{ Data map[string]any }
	asKubernetes(t, b.Bytes(), &got)
	assert.Equal(t, want, got.Data, b.String())
}

func TestK8sManifestsAreWhatKubernetesKnows(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("soak.yaml", []byte("corpus: free.yaml\naxes: {workers: [1, 2, 3, 4]}\nlimit: 2Gi\n"),
		0o644))
	require.NoError(t, os.WriteFile("free.yaml", []byte("files: 3\nsize: 10\n"), 0o644))
	code, out, stderr := k8s(t, "-f", "soak.yaml", "--shards", "3", "--image", "memsoak:1", "--upload", "s3://results/x",
		"--secret", "aws")
	require.Zero(t, code, stderr)
	docs := bytes.Split(bytes.TrimPrefix(out, []byte("---\n")), []byte("---\n"))
	require.Len(t, docs, 2)
	var config corev1.ConfigMap
	asKubernetes(t, docs[0], &config)
	assert.Contains(t, config.Data, "soak.yaml")
	assert.Equal(t, "files: 3\nsize: 10\n", config.Data["free.yaml"], "the files that soak.yaml names come along")
	var job batchv1.Job
	asKubernetes(t, docs[1], &job)
	assert.Equal(t, batchv1.IndexedCompletion, *job.Spec.CompletionMode)
	assert.EqualValues(t, 3, *job.Spec.Completions)
	c := job.Spec.Template.Spec.Containers[0]
	assert.Equal(t, []string{"run", "-f", "soak.yaml", "--shard", "job/3", "--out", "/results/run", "--upload",
		"s3://results/x"}, c.Args)
	assert.Equal(t, "4Gi", c.Resources.Limits.Memory().String())
	assert.EqualValues(t, 2, c.Resources.Requests.Cpu().Value(), "a bare number is a quantity, too")
	assert.True(t, *c.SecurityContext.Privileged)
	assert.Equal(t, config.Name, job.Spec.Template.Spec.Volumes[0].ConfigMap.Name)
	assert.NotNil(t, job.Spec.Template.Spec.Volumes[1].EmptyDir)
	assert.EqualValues(t, 1, *job.Spec.BackoffLimitPerIndex)
	assert.Equal(t, "aws", c.EnvFrom[0].SecretRef.Name)

	t.Setenv("JOB_COMPLETION_INDEX", "2") // what the pods run is a command that soak takes
	var stdout, errs bytes.Buffer
	require.Zero(t, run(append(c.Args, "--dry-run"), &stdout, &errs), errs.String())
	assert.Contains(t, stdout.String(), "shard 3/3")
}

func TestK8sRefusesWhatCannotWork(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "soak.yaml")
	require.NoError(t, os.WriteFile(file, []byte("axes: {workers: [1, 2]}\nlimit: 2Gi\n"), 0o644))
	for want, args := range map[string][]string{
		"the matrix has 2 cells": {"--shards", "3"},
		"is less than the":       {"--memory", "2Gi"},
		"--name":                 {"--name", "Not A Name"},
		"--cpu":                  {"--cpu", "many"},
		"--memory \"4GiB\"":      {"--memory", "4GiB"}, // a size everywhere but in Kubernetes
		"--memory: want 1MiB":    {"--memory", "off"},
	} {
		code, _, stderr := k8s(t, append([]string{"-f", file, "--image", "x", "--upload", "s3://b/p"}, args...)...)
		assert.Equal(t, 2, code, want)
		assert.Contains(t, stderr, want)
	}
}
