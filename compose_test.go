package fallback_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestDockerCompose(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	type service struct {
		Image       string
		Name        string `yaml:"container_name"`
		Restart     string
		Command     string
		Environment map[string]string
		Ports       []string
		Volumes     []string
		Healthcheck struct{ Test []string }
	}
	var file struct {
		Services map[string]service
		Volumes  map[string]any
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	r := file.Services["redis"]
	if r.Image != "redis:7-alpine" || r.Name != "redis" || r.Restart != "unless-stopped" {
		t.Errorf("redis: image %q, name %q, restart %q", r.Image, r.Name, r.Restart)
	}
	if !slices.Equal(r.Volumes, []string{"redis-data:/data"}) {
		t.Errorf("volumes %v", r.Volumes)
	}
	if _, ok := file.Volumes["redis-data"]; !ok {
		t.Error("the volume redis-data is not declared")
	}
	if strings.Join(r.Healthcheck.Test, " ") != "CMD redis-cli ping" {
		t.Errorf("healthcheck %v", r.Healthcheck.Test)
	}
	if !strings.HasPrefix(r.Environment["REDISCLI_AUTH"], "${REDIS_PASSWORD") {
		t.Error("redis-cli ping has no password, and would call a healthy server unhealthy")
	}
	for _, want := range []string{"--requirepass ${REDIS_PASSWORD", "--appendonly yes", "--appendfsync always", "--maxmemory ", "--maxmemory-policy noeviction"} {
		if !strings.Contains(r.Command, want) {
			t.Errorf("the command lacks %q", want)
		}
	}
	if _, ok := file.Services["jaeger"]; !ok {
		t.Error("there is no jaeger")
	}
	for name, s := range file.Services {
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s listens on %s: not on loopback alone", name, p)
			}
		}
	}
}
