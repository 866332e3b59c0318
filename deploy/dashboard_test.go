package deploy_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

const dashboardFile = "grafana/dashboards/redis-fallback.json"

type dashboard struct {
	UID, Title  string
	Annotations struct{ List []struct{ Expr string } }
	Templating  struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ UID string }
	Targets                  []struct{ Expr, LegendFormat string }
	GridPos                  struct{ X, Y, W, H int }
}

func readDashboard(tb testing.TB) *dashboard {
	tb.Helper()
	raw, err := os.ReadFile(dashboardFile)
	if err != nil {
		tb.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(raw, &d); err != nil {
		tb.Fatal(err)
	}
	return &d
}

// expressions returns all, with what a dashboard puts in for its variables.
func (d *dashboard) expressions() []string {
	put := strings.NewReplacer("$__rate_interval", "5s", "$job", ".+", "$primary", ".+")
	var all []string
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all = append(all, put.Replace(target.Expr))
		}
	}
	for _, a := range d.Annotations.List {
		all = append(all, put.Replace(a.Expr))
	}
	return all
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	if d.UID == "" || d.Title == "" {
		t.Error("it has no uid, or no title")
	}
	variables := map[string]bool{"__rate_interval": true}
	for _, v := range d.Templating.List {
		variables[v.Name] = true
	}
	ids := map[int]bool{}
	for i, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%q: the id %d is taken", p.Title, p.ID)
		}
		ids[p.ID] = true
		for _, q := range d.Panels[:i] {
			if a, b := p.GridPos, q.GridPos; a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%q lies on %q", p.Title, q.Title)
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Title == "" || p.Description == "" || len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("panel %d (%q) lacks a title, a description, a target or the data source", p.ID, p.Title)
		}
		for _, target := range p.Targets {
			for _, part := range strings.Split(target.Expr, "$")[1:] {
				name := part[:len(part)-len(strings.TrimLeft(part, "abcdefghijklmnopqrstuvwxyz_"))]
				if !variables[name] {
					t.Errorf("%q: there is no variable %q", p.Title, name)
				}
			}
			if target.LegendFormat == "" {
				t.Errorf("%q has a target without a legend", p.Title)
			}
		}
	}
}
