// Package console serves a page for the person on call: which Redis serves, why, since when, what waits, and
// what to do. It is read only, and needs no JavaScript.
//
//	http.Handle("/debug/redis-fallback/", console.Handler(h))
//
// Beneath the page are status.json, the same for programs; healthz, which is 200 as long as some server
// answers; and events, by which an open page follows a switch within a second. Nothing of it asks the primary,
// and local is asked for dead letters alone, where there are some.
//
// No key, no value and no password stands in what it serves. Addresses of the servers, names of the
// machines and numbers do: keep it where only you can reach it, as you would with net/http/pprof.
package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net/http"
	"strings"

	"github.com/redis-fallback/fallback"
)

//go:embed static
var files embed.FS

// policy lets the page load what is served beside it, and nothing else: no script stands in it, and it
// stands in no other page.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// console is what Handler makes.
type console struct {
	h       *fallback.Hook
	rates   rates
	letters letters
	streams streams
	assets  map[string]asset
}

// asset is a file that does not change while the program runs.
type asset struct {
	body []byte
	kind string
	tag  string
}

// Handler returns the page of h and what lies beneath it. It works under any prefix that ends in a slash,
// with http.StripPrefix or without, and starts no goroutine that outlives a request. It panics if h is nil.
func Handler(h *fallback.Hook) http.Handler {
	if h == nil {
		panic("console.Handler: h is nil; give it the hook that fallback.New returned")
	}
	c := &console{h: h, assets: map[string]asset{}}
	c.letters.h = h
	for name, kind := range map[string]string{
		"style.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
	} {
		body, err := fs.ReadFile(files, "static/"+name)
		if err != nil {
			panic(err) // it is embedded
		}
		sum := sha256.Sum256(body)
		c.assets[name] = asset{body, kind, `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	return c
}

// ServeHTTP decides by the last part of the path alone, so that no prefix has to be told.
func (c *console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Security-Policy", policy)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		head.Set("Allow", "GET, HEAD")
		http.Error(w, "this page is read only: GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	switch name {
	case "":
		c.page(w, r)
	case "status.json":
		writeJSON(w, http.StatusOK, c.report(r.Context()))
	case "healthz":
		c.healthz(w)
	case "events":
		c.events(w, r)
	default:
		if a, ok := c.assets[name]; ok {
			a.serve(w, r)
			return
		}
		http.Error(w, "there is no such page here; the console is at its prefix, with a slash at the end", http.StatusNotFound)
	}
}

func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Type", a.kind)
	head.Set("Cache-Control", "no-cache") // it is asked for again, and not sent again
	head.Set("ETag", a.tag)
	if r.Header.Get("If-None-Match") == a.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(a.body)
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, "the status cannot be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n'))
}
