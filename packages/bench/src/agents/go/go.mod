module github.com/parley-dev/parley/packages/bench/agents

go 1.26

require github.com/parley-dev/parley/packages/go v0.0.0

require github.com/coder/websocket v1.8.15 // indirect

replace github.com/parley-dev/parley/packages/go => ../../../../go
