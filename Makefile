.PHONY: run test bench crash picture

run: ## the demo: no server needed
	go run ./cmd/redis-fallback demo

test:
	go test ./...

bench: ## the figures of docs/performance.md; the network ones need redis-server
	go test -run '^$$' -bench . ./...
	go run ./internal/measure

crash: ## 100 runs of an application whose processes and servers are killed; about 40 minutes, needs redis-server
	go run ./internal/crash -runs 100

picture: ## docs/console.png, made by the test in a real browser; needs chromium and redis-server
	cd interop/console && go test -count=1 -run TestThePageFollowsATrip . -screenshot ../../docs/console.png
