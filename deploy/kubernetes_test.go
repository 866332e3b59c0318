package deploy_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct {
		Name   string
		Labels map[string]string
	}
	Data map[string]string
	Spec struct {
		ServiceName string `yaml:"serviceName"`
		Replicas    int
		ClusterIP   string `yaml:"clusterIP"`
		Selector    map[string]any
		Ports       []struct {
			Name       string
			Port       int
			TargetPort string `yaml:"targetPort"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
		Claims []struct{ Metadata struct{ Name string } } `yaml:"volumeClaimTemplates"`
	}
}

type pod struct {
	Init       []container `yaml:"initContainers"`
	Containers []container
	Volumes    []struct {
		Name      string
		ConfigMap struct{ Name string } `yaml:"configMap"`
	}
}

type container struct {
	Name, Image   string
	RestartPolicy string `yaml:"restartPolicy"`
	Command       []string
	Env           []struct {
		Name, Value string
		ValueFrom   struct {
			Secret struct{ Name, Key string } `yaml:"secretKeyRef"`
		} `yaml:"valueFrom"`
	}
	Ports        []struct{ Name string }
	Probes       map[string]any `yaml:",inline"`
	Resources    struct{ Requests, Limits map[string]string }
	VolumeMounts []struct{ Name string } `yaml:"volumeMounts"`
}

// kinds are those that are used, and their versions.
var kinds = map[string]string{
	"ConfigMap": "v1", "Service": "v1", "StatefulSet": "apps/v1", "Deployment": "apps/v1", "PodDisruptionBudget": "policy/v1",
}

func readObjects(tb testing.TB, path string) []object {
	tb.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	var all []object
	for d := yaml.NewDecoder(bytes.NewReader(raw)); ; {
		var o object
		switch err := d.Decode(&o); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			tb.Fatalf("%s: %v", path, err)
		}
		all = append(all, o)
	}
}

func TestKubernetes(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("kubernetes/*/*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		t.Run(f, func(t *testing.T) {
			t.Parallel()
			all := readObjects(t, f)
			if len(all) == 0 {
				t.Fatal("there is nothing in it")
			}
			pods := map[string]object{} // by the label that selects them
			for _, o := range all {
				if kinds[o.Kind] == "" || kinds[o.Kind] != o.APIVersion {
					t.Errorf("%s of %s", o.Kind, o.APIVersion)
				}
				if o.Metadata.Name == "" || o.Metadata.Labels[nameLabel] == "" {
					t.Errorf("%s has no name, or no label %s", o.Kind, nameLabel)
				}
				if o.Kind == "StatefulSet" || o.Kind == "Deployment" {
					pods[o.Spec.Template.Metadata.Labels[nameLabel]] = o
					checkPod(t, all, o)
				}
			}
			for _, o := range all {
				if o.Spec.Selector == nil {
					continue
				}
				selected := selects(o)
				if _, ok := pods[selected]; !ok {
					t.Errorf("%s %s selects %q: no pod has it", o.Kind, o.Metadata.Name, selected)
				}
			}
		})
	}
}

const nameLabel = "app.kubernetes.io/name"

// selects returns the label that an object selects pods by.
func selects(o object) string {
	from := o.Spec.Selector
	if inner, ok := from["matchLabels"].(map[string]any); ok {
		from = inner
	}
	name, _ := from[nameLabel].(string)
	return name
}

func checkPod(t *testing.T, all []object, o object) {
	t.Helper()
	spec := o.Spec.Template.Spec
	if o.Kind == "StatefulSet" && o.Spec.Replicas != 1 {
		t.Errorf("%d locals share no journal", o.Spec.Replicas)
	}
	volumes := map[string]bool{}
	for _, c := range o.Spec.Claims {
		volumes[c.Metadata.Name] = true
	}
	for _, v := range spec.Volumes {
		volumes[v.Name] = true
		if v.ConfigMap.Name != "" && !exists(all, "ConfigMap", v.ConfigMap.Name) {
			t.Errorf("the ConfigMap %s does not exist", v.ConfigMap.Name)
		}
	}
	if o.Spec.ServiceName != "" && !exists(all, "Service", o.Spec.ServiceName) {
		t.Errorf("the Service %s does not exist", o.Spec.ServiceName)
	}
	for _, c := range append(spec.Init, spec.Containers...) {
		if !pinned.MatchString(c.Image) {
			t.Errorf("%s: the image %s is not pinned", c.Name, c.Image)
		}
		want := []string{"livenessProbe", "readinessProbe"}
		if c.RestartPolicy == "Always" {
			want = []string{"livenessProbe", "startupProbe"} // what is not ready yet holds the application back
		}
		for _, probe := range want {
			if c.Probes[probe] == nil {
				t.Errorf("%s has no %s", c.Name, probe)
			}
		}
		if c.Resources.Requests["cpu"] == "" || c.Resources.Requests["memory"] == "" || c.Resources.Limits["memory"] == "" {
			t.Errorf("%s: resources %+v", c.Name, c.Resources)
		}
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("%s mounts %s, which there is not", c.Name, m.Name)
			}
		}
		for _, e := range c.Env {
			if strings.Contains(e.Name, "PASSWORD") || e.Name == "REDIS_URL" || e.Name == "REDISCLI_AUTH" {
				if e.Value != "" || e.ValueFrom.Secret.Name == "" || e.ValueFrom.Secret.Key == "" {
					t.Errorf("%s: %s is from no secret", c.Name, e.Name)
				}
			}
		}
	}
}

func exists(all []object, kind, name string) bool {
	for _, o := range all {
		if o.Kind == kind && o.Metadata.Name == name {
			return true
		}
	}
	return false
}

// TestKubernetesLocalIsDurable holds the settings to what the files promise.
func TestKubernetesLocalIsDurable(t *testing.T) {
	t.Parallel()
	var conf string
	local := readObjects(t, "kubernetes/statefulset/local.yaml")
	for _, o := range local {
		conf += o.Data["redis.conf"]
		if o.Kind == "StatefulSet" && len(o.Spec.Claims) == 0 {
			t.Error("local has no volume")
		}
	}
	for _, want := range []string{"appendonly yes", "appendfsync always", "maxmemory-policy noeviction", "dir /data"} {
		if !regexp.MustCompile("(?m)^" + want + "$").MatchString(conf) {
			t.Errorf("redis.conf lacks %q", want)
		}
	}
	app := readObjects(t, "kubernetes/statefulset/application.yaml")[0]
	if url := setting(app, "REDIS_FALLBACK_URL"); !strings.Contains(url, "@redis-fallback-local:6379/") || !exists(local, "Service", "redis-fallback-local") {
		t.Errorf("the application's local is at %q", url)
	}
	if v := setting(app, "REDIS_FALLBACK_JOURNAL_DATABASE"); v != "" {
		t.Errorf("the journal is set to %q", v)
	}
}

func TestKubernetesSidecarHasNoJournal(t *testing.T) {
	t.Parallel()
	app := readObjects(t, "kubernetes/sidecar/application.yaml")[0]
	if v := setting(app, "REDIS_FALLBACK_JOURNAL_DATABASE"); v != "-1" {
		t.Errorf("a local that evicts has a journal in database %q", v)
	}
	if url := setting(app, "REDIS_FALLBACK_URL"); !strings.HasPrefix(url, "redis://127.0.0.1:") {
		t.Errorf("the application's local is at %q", url)
	}
	if c := app.Spec.Template.Spec.Init; len(c) != 1 || c[0].RestartPolicy != "Always" {
		t.Errorf("the sidecar is %+v", c)
	}
}

func setting(o object, name string) string {
	for _, c := range o.Spec.Template.Spec.Containers {
		for _, e := range c.Env {
			if e.Name == name {
				return e.Value
			}
		}
	}
	return ""
}
