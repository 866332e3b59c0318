.PHONY: run test bench

run: ## the demo: no server needed
	go run ./cmd/redis-fallback demo

test:
	go test ./...

bench: ## the figures of docs/performance.md; the network ones need redis-server
	go test -run '^$$' -bench . ./...
	go run ./internal/measure
