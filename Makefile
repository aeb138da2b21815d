# memsoak: what holds the memory of a Go service that copies Drive to S3. `make help` lists the targets.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

GO          ?= go
TOOLS       := $(CURDIR)/.tools
STATICCHECK := $(TOOLS)/staticcheck
export GOFLAGS := -buildvcs=auto $(GOFLAGS)

# Settings of `make soak`.
WORKERS      ?=
GOMEMLIMIT   ?=
GOGC         ?=
POOL         ?=
LIMIT        ?=
CORPUS       ?=
SUBJECT      ?=
DESIGN       ?=
OUT          ?=
PYROSCOPE_URL ?=

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

.PHONY: build
build: ## build soak, migrator and fakedrive into bin/
	$(GO) build -o bin/ ./soak/cmd/soak ./migrator/cmd/migrator ./fakedrive/cmd/fakedrive

.PHONY: clean
clean: ## remove binaries, tools and soak results
	rm -rf bin .tools soak-results conformance-results
