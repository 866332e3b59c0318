package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

func TestReplayedRequestOverOTLP(t *testing.T) {
	t.Parallel()
	r := &receiver{}
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	r.url = srv.URL + "/v1/traces"
	testReplayedRequest(t, r)
}

// receiver takes spans over OTLP and keeps them.
type receiver struct {
	url string

	mu    sync.Mutex
	spans []span
}

func (r *receiver) endpoint() string { return r.url }

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var sent collector.ExportTraceServiceRequest
	body, err := io.ReadAll(req.Body)
	if err == nil {
		err = proto.Unmarshal(body, &sent)
	}
	if err != nil || req.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprintf("%s: %v", req.URL.Path, err), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range sent.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				r.spans = append(r.spans, received(s))
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf") // an empty message is an empty body
}

func received(from *trace.Span) span {
	s := span{
		trace: hex.EncodeToString(from.GetTraceId()), id: hex.EncodeToString(from.GetSpanId()),
		parent: hex.EncodeToString(from.GetParentSpanId()), name: from.GetName(),
		failed: from.GetStatus().GetCode() == trace.Status_STATUS_CODE_ERROR, attributes: map[string]string{},
	}
	for _, a := range from.GetAttributes() {
		s.attributes[a.GetKey()] = text(a.GetValue())
	}
	for _, l := range from.GetLinks() {
		s.links = append(s.links, hex.EncodeToString(l.GetSpanId()))
	}
	return s
}

func text(v *common.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_IntValue:
		return fmt.Sprint(v.IntValue)
	default:
		return fmt.Sprint(v)
	}
}

func (r *receiver) trace(_ *testing.T, id string) []span {
	return r.those(func(s span) bool { return s.trace == id })
}

func (r *receiver) named(_ *testing.T, name string) []span {
	return r.those(func(s span) bool { return s.name == name })
}

func (r *receiver) those(are func(span) bool) (all []span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if are(s) {
			all = append(all, s)
		}
	}
	return all
}
