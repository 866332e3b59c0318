package console

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/redis-fallback/fallback/internal/diagnosis"
)

// sectionIDs are the parts of the page, in order. Each is a template of that name and an element of that id,
// made here alone: the script puts in what it is sent, so that the page is the same without it.
var sectionIDs = [...]string{"state", "next", "calls", "timeline", "servers", "journal", "fitness", "mirror", "letters", "fleet"}

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"span":  func(seconds float64) string { return diagnosis.Span(time.Duration(seconds * float64(time.Second))) },
	"when":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"count": count,
	"bytes": size,
	"per":   perSecond,
	"title": func(name string) string { return shorten(name, 16) },
}).ParseFS(files, "static/*.html"))

// view is a report as the templates see it.
type view struct {
	*report
	Figure   figure
	Sections []template.HTML
}

// Ago is how long ago something was.
func (v view) Ago(t time.Time) string { return diagnosis.Span(v.At.Sub(t)) }

// In is how long it is until something.
func (v view) In(t time.Time) string { return diagnosis.Span(t.Sub(v.At)) }

// sections renders the parts of the page, by their ids.
func (c *console) sections(r *report) map[string]string {
	v := view{report: r, Figure: newFigure(r)}
	all := make(map[string]string, len(sectionIDs))
	for _, id := range sectionIDs {
		var b bytes.Buffer
		if err := pages.ExecuteTemplate(&b, id, v); err != nil {
			// Only a template that does not fit the report fails, which the tests would tell.
			fmt.Fprintf(&b, `<section id="%s"><p>this part of the page cannot be shown</p></section>`, id)
		}
		all[id] = b.String()
	}
	return all
}

func (c *console) page(w http.ResponseWriter, r *http.Request) {
	rep := c.report(r.Context())
	v := view{report: rep}
	parts := c.sections(rep)
	for _, id := range sectionIDs {
		v.Sections = append(v.Sections, template.HTML(parts[id])) //nolint:gosec // a template has escaped it
	}
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, "page.html", v); err != nil {
		http.Error(w, "the page cannot be shown; status.json has what would be on it", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

// count is a whole number with its thousands apart.
func count(n any) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		if s[i-1] != '-' {
			s = s[:i] + "," + s[i:]
		}
	}
	return s
}

// size is a number of bytes, to three digits.
func size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, i := float64(n), 0
	for ; f >= 1024 && i < len(units)-1; i++ {
		f /= 1024
	}
	if i == 0 {
		return strconv.FormatInt(n, 10) + " B"
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " " + units[i]
}

// perSecond is a rate, where there is one already.
func perSecond(f *float64) string {
	switch {
	case f == nil:
		return "…"
	case *f > 0 && *f < 10:
		return strconv.FormatFloat(*f, 'f', 1, 64)
	}
	return count(int64(*f + 0.5))
}

// shorten keeps a name within a box.
func shorten(s string, most int) string {
	r := []rune(strings.TrimSpace(s))
	if len(r) <= most {
		return string(r)
	}
	return string(r[:most-1]) + "…"
}
