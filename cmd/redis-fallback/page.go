package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/console"
)

// servePage serves the console of h at an address, and returns its URL and what ends it.
func servePage(ctx context.Context, addr string, h *fallback.Hook) (string, func(), error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("--console: %w", err)
	}
	srv := &http.Server{Handler: console.Handler(h), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = srv.Serve(ln) // until Shutdown
	}()
	host, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return "", nil, errors.Join(err, srv.Close())
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port) + "/", func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = srv.Shutdown(ctx)
		<-ended
	}, nil
}
