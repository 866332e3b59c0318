package deploy_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

type composed struct {
	Image string
	Build struct{ Context, Dockerfile string }
	// Command is a list or a line.
	Command     any
	Environment map[string]string
	Ports       []string
	Volumes     []string
	DependsOn   []string `yaml:"depends_on"`
	Healthcheck struct{ Test []string }
}

// pinned images have a version of three numbers, as no tag that moves has.
var pinned = regexp.MustCompile(`^[a-z0-9./-]+:v?\d+\.\d+\.\d+(-alpine)?$`)

// hosts finds the servers that a setting names.
var hosts = regexp.MustCompile(`(?:https?://|redis://[^@]*@)([a-z]+):(\d+)`)

func TestCompose(t *testing.T) {
	t.Parallel()
	var file struct {
		Services map[string]composed
		Volumes  map[string]any
	}
	readYAML(t, "compose.yaml", &file)
	for _, want := range []string{"app", "redis", "jaeger", "prometheus", "grafana"} {
		if _, ok := file.Services[want]; !ok {
			t.Errorf("there is no %s", want)
		}
	}
	taken := map[string]string{}
	for name, s := range file.Services {
		if s.Image == "" {
			mustExist(t, name, "../"+s.Build.Dockerfile)
		} else if !pinned.MatchString(s.Image) {
			t.Errorf("%s: the image %s is not pinned", name, s.Image)
		}
		for _, port := range s.Ports {
			p := strings.Split(port, ":")
			if len(p) != 3 || p[0] != "127.0.0.1" {
				t.Errorf("%s listens on %s: not on loopback alone", name, port)
				continue
			}
			if other, ok := taken[p[1]]; ok {
				t.Errorf("%s and %s both listen on %s", name, other, p[1])
			}
			taken[p[1]] = name
		}
		for _, v := range s.Volumes {
			from, to, _ := strings.Cut(v, ":")
			if strings.HasPrefix(from, ".") {
				mustExist(t, name, from)
				if !strings.HasSuffix(to, ":ro") {
					t.Errorf("%s may write to %s", name, from)
				}
			} else if _, ok := file.Volumes[from]; !ok {
				t.Errorf("%s: the volume %s is not declared", name, from)
			}
		}
		for _, other := range s.DependsOn {
			if _, ok := file.Services[other]; !ok {
				t.Errorf("%s depends on %s, which there is not", name, other)
			}
		}
		for key, value := range s.Environment {
			for _, h := range hosts.FindAllStringSubmatch(value, -1) {
				if _, ok := file.Services[h[1]]; !ok {
					t.Errorf("%s: %s names %s, which there is not", name, key, h[1])
				}
			}
		}
	}
	command, _ := file.Services["redis"].Command.(string)
	for _, want := range []string{"--requirepass ${REDIS_PASSWORD", "--appendonly yes", "--appendfsync always", "--maxmemory ", "--maxmemory-policy noeviction"} {
		if !strings.Contains(command, want) {
			t.Errorf("redis lacks %q", want)
		}
	}
}

// TestComposedServicesFindEachOther follows the application's metrics to the dashboard.
func TestComposedServicesFindEachOther(t *testing.T) {
	t.Parallel()
	var scrape struct {
		Rules   []string `yaml:"rule_files"`
		Scrapes []struct {
			Static []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	readYAML(t, "prometheus/prometheus.yml", &scrape)
	if got := scrape.Scrapes[0].Static[0].Targets; !slices.Equal(got, []string{"app:8080"}) {
		t.Errorf("prometheus scrapes %v", got)
	}
	for _, f := range scrape.Rules {
		mustExist(t, "prometheus.yml", "prometheus/"+f)
	}
	var sources struct{ Datasources []struct{ Type, URL string } }
	readYAML(t, "grafana/provisioning/datasources/prometheus.yml", &sources)
	if len(sources.Datasources) != 1 || sources.Datasources[0].URL != "http://prometheus:9090" {
		t.Errorf("grafana reads from %+v", sources.Datasources)
	}
	var dashboards struct {
		Providers []struct{ Options struct{ Path string } }
	}
	readYAML(t, "grafana/provisioning/dashboards/redis-fallback.yml", &dashboards)
	var file struct{ Services map[string]composed }
	readYAML(t, "compose.yaml", &file)
	mount := "./grafana/dashboards:" + dashboards.Providers[0].Options.Path + ":ro"
	if !slices.Contains(file.Services["grafana"].Volumes, mount) {
		t.Errorf("grafana looks for dashboards where none are mounted: %s", mount)
	}
}

// TestDockerfile checks that what it copies from is pinned, and that Go is new enough for the modules.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	from := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(string(raw), -1)
	if len(from) != 2 {
		t.Fatalf("%d images", len(from))
	}
	for _, f := range from {
		if !pinned.MatchString(f[1]) {
			t.Errorf("%s is not pinned", f[1])
		}
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	minor := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(mod))[1]
	if !strings.HasPrefix(from[0][1], "golang:"+minor+".") {
		t.Errorf("%s builds modules of Go %s", from[0][1], minor)
	}
}

func mustExist(tb testing.TB, who, path string) {
	tb.Helper()
	if _, err := os.Stat(path); err != nil {
		tb.Errorf("%s: %v", who, err)
	}
}
