package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/examples/internal/quotatest"
)

func TestReplayedRequestInJaeger(t *testing.T) {
	t.Parallel()
	testReplayedRequest(t, startJaeger(t))
}

// jaeger is a Jaeger all-in-one that keeps its spans in memory.
type jaeger struct{ otlp, api string }

// startJaeger starts the program that JAEGER_ALL_IN_ONE names, or jaeger-all-in-one in PATH, with ports of loopback
// alone. It ends with the test, which is skipped where there is no such program.
func startJaeger(t *testing.T) *jaeger {
	t.Helper()
	program := os.Getenv("JAEGER_ALL_IN_ONE")
	if program == "" {
		var err error
		if program, err = exec.LookPath("jaeger-all-in-one"); err != nil {
			t.Skip("no Jaeger here: set JAEGER_ALL_IN_ONE to its all-in-one program, or have jaeger-all-in-one in PATH")
		}
	}
	j := &jaeger{otlp: freeAddr(t), api: freeAddr(t)}
	admin := freeAddr(t)
	args := []string{
		"--collector.otlp.http.host-port=" + j.otlp, "--query.http-server.host-port=" + j.api, "--admin.http.host-port=" + admin,
		"--log-level=error", "--query.enable-tracing=false",
	}
	for _, other := range []string{
		"collector.otlp.grpc.host-port", "collector.grpc-server.host-port", "collector.http-server.host-port",
		"query.grpc-server.host-port", "http-server.host-port", "processor.jaeger-binary.server-host-port",
		"processor.jaeger-compact.server-host-port", "processor.zipkin-compact.server-host-port",
	} {
		args = append(args, "--"+other+"=127.0.0.1:0")
	}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, args...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Env = append(os.Environ(), "SPAN_STORAGE_TYPE=memory")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		stop()
		<-ended
		if t.Failed() {
			t.Log("Jaeger said:", said.String())
		}
	})
	quotatest.Eventually(t, "Jaeger is ready", func() bool {
		select {
		case <-ended:
			t.Fatal("Jaeger has ended")
		default:
		}
		return get(t, "http://"+admin+"/", nil) == http.StatusOK
	})
	return j
}

// freeAddr returns an address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func (j *jaeger) endpoint() string { return "http://" + j.otlp + "/v1/traces" }

func (j *jaeger) trace(t *testing.T, id string) []span {
	t.Helper()
	return j.spans(t, "/api/traces/"+id)
}

func (j *jaeger) named(t *testing.T, name string) []span {
	t.Helper()
	return j.spans(t, "/api/traces?"+url.Values{"service": {"sessions"}, "operation": {name}}.Encode())
}

// spans reads traces from the API of Jaeger's page.
func (j *jaeger) spans(t *testing.T, path string) (all []span) {
	t.Helper()
	var answer struct {
		Data []struct {
			Spans []struct {
				TraceID, SpanID, OperationName string
				References                     []struct{ RefType, SpanID string }
				Tags                           []struct {
					Key   string
					Value any
				}
			}
		}
	}
	get(t, "http://"+j.api+path, &answer) // 404 while it knows nothing of the trace
	for _, trace := range answer.Data {
		for _, from := range trace.Spans {
			s := span{trace: from.TraceID, id: from.SpanID, name: from.OperationName, attributes: map[string]string{}}
			for _, ref := range from.References {
				if ref.RefType == "CHILD_OF" {
					s.parent = ref.SpanID
				} else {
					s.links = append(s.links, ref.SpanID)
				}
			}
			for _, tag := range from.Tags {
				s.attributes[tag.Key] = fmt.Sprint(tag.Value)
			}
			s.failed = s.attributes["otel.status_code"] == "ERROR"
			all = append(all, s)
		}
	}
	return all
}

// get reads JSON into what, if that is not nil, and returns the status; 0 where nobody answers.
func get(t *testing.T, from string, what any) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, from, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	if what != nil {
		numbers := json.NewDecoder(answer.Body)
		numbers.UseNumber()
		if err := numbers.Decode(what); err != nil {
			t.Fatalf("%s: %v", from, err)
		}
	}
	return answer.StatusCode
}
