# memsoak: what holds the memory of a Go service that copies Drive to S3. `make help` lists the targets.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

GO    ?= go
TOOLS := $(CURDIR)/.tools

STATICCHECK_VERSION := v0.8.2
GOVULNCHECK_VERSION := v1.1.4
RCLONE_VERSION      := v1.76.0

# Settings of `make soak`: an empty one takes the default of `soak run`.
WORKERS       ?=
GOMEMLIMIT    ?=
GOGC          ?=
POOL          ?=
LIMIT         ?=
CORPUS        ?=
SUBJECT       ?=
DESIGN        ?=
OUT           ?=
PYROSCOPE_URL ?=

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

.PHONY: build
build: ## build soak, migrator and fakedrive into bin/
	$(GO) build -o bin/ ./soak/cmd/soak ./migrator/cmd/migrator ./fakedrive/cmd/fakedrive

# Modules: each is tested, linted and tidied by itself. The main one neither requires nor replaces another.
MODULES := . $(patsubst %/go.mod,%,$(wildcard profiles/memtest/go.mod examples/*/go.mod))

# Packages that have to do with goroutines run under the race detector as well: internal/racelist finds them, and names
# what it leaves out and why; RACE_ALL=1 runs that, too.
RACE_ALL ?=
RACE = $$($(GO) run ./internal/racelist $(if $(RACE_ALL),-all))

# Tests start real servers, browsers and kills. A package that fails among all the others runs once more, one package
# at a time (results of those that passed are cached), and is named as flaky if it passes then; twice is a failure.
twice = $(1) -timeout 20m $(2) || { printf '\n=== failed among the others: once more, one package at a time\n'; \
	$(1) -timeout 20m -p 1 $(2) && printf '\n=== FLAKY: what failed above passed when it ran again\n'; }
# testsum is go test, with a list of what was skipped and why at the end.
TESTSUM := $(TOOLS)/testsum
# needs finds programs that tests use as counterparts, and installs them where it may.
NEEDS   := $(GO) run ./internal/needs/get
SHORT   ?=

.PHONY: testsum
testsum:
	@$(GO) build -o $(TESTSUM) ./internal/testsum

.PHONY: test
test: build testsum ## run the tests, and those of concurrent code under the race detector; say what was skipped and why (SHORT=1: the short form)
	@$(call twice,$(TESTSUM),$(if $(SHORT),-short )./...)
	@$(foreach m,$(filter-out .,$(MODULES)),(cd $(m) && $(call twice,$(TESTSUM),$(if $(SHORT),-short )./...)) && )true
ifeq ($(SHORT),)
	@if $(NEEDS) cc >/dev/null; then $(MAKE) --no-print-directory race; else echo "=== skipped: the race detector, for want of a C compiler"; fi
endif

.PHONY: race
race: ## the tests of concurrent code under the race detector (RACE_ALL=1: also those that take long)
	@$(call twice,$(GO) test,-race -short $(RACE))
	@$(foreach m,$(filter-out .,$(MODULES)),(cd $(m) && $(call twice,$(GO) test,-race -short ./...)) && )true

# test-fast leaves out packages that start brokers, browsers and subjects, or that judge hundreds of series.
SLOW := /e2e$$|/migrator/internal/queue|/soak/internal/fakes$$|/migrator/cmd/|/profiles$$|/memtest$$|/internal/view$$|/internal/pyroscope$$
SLOW := $(SLOW)|/internal/holders$$|/internal/trial$$|/soak$$|/soak/specimens/all$$|/replay/study$$|/replay/service$$|/internal/bench|/internal/report$$

.PHONY: test-fast
test-fast: testsum ## the quick half of the tests, in a minute: what needs no broker, browser or subject
	@$(call twice,$(TESTSUM),-short $$($(GO) list ./... | grep -Ev '$(SLOW)'))

.PHONY: test-long
test-long: build ## the long forms: 200 kills, value tables by hashing, every fault against every phase, the recipes of CONTRIBUTING.md
	$(foreach m,$(MODULES),(cd $(m) && MEMSOAK_LONG=1 $(GO) test -timeout 3h ./...) && )true
	$(MAKE) fuzz

# The seeds of all targets run in `make test`; this looks for more, for FUZZTIME each.
FUZZTIME ?= 20s
.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (20s)
	@set -e; for f in $$(git grep -l '^func Fuzz' -- '*_test.go'); do for t in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$f); do \
		echo "=== $$t ./$$(dirname $$f)"; (cd $$(dirname $$f) && $(GO) test -run '^$$' -fuzz "^$$t$$" -fuzztime $(FUZZTIME) .); done; done

.PHONY: demo
demo: replay-subject ## a fault found beside a healthy one, in a minute: the service of the history and the migrator, same files, same limit
	rm -rf soak-results/demo
	@$(GO) build -o bin/ ./soak/replay/cmd/demo
	@bin/demo

# The killed service of the demo: its report's first screen as Chromium shows it, its memory and its flame graph.
PICTURES := docs/pictures
KILLED   := soak-results/demo/v2.4.1-single-worker--many-small

.PHONY: pictures
pictures: demo ## draw the pictures of README.md from a demo: what a headless Chromium shows of its report (300 KB asked for)
	@chromium=$$($(NEEDS) chromium) && bin/soak report $(KILLED) --pictures $(PICTURES) >/dev/null && \
	$$chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir=$$(mktemp -d) --window-size=1280,900 \
		--screenshot=$(PICTURES)/report.png file://$(CURDIR)/$(KILLED)/report.html 2>/dev/null
	@wc -c $(PICTURES)/* | awk '{print} END {print int(($$1+999)/1000) " KB of pictures (asked for: 300 KB at most)"}'

.PHONY: newcomer
newcomer: ## a stranger's way: a new clone, no modules, no package lists, no brokers, and the README from top to bottom
	.ci/newcomer

RELEASE_OUT ?= soak-results/release
TARGETS     ?= linux/amd64

.PHONY: release-check
release-check: ## build what a tag publishes, and check it: static programs, checksums, SBOM (TARGETS=linux/amd64,linux/arm64,...)
	rm -rf $(RELEASE_OUT)
	$(GO) run ./internal/release -out $(RELEASE_OUT) -targets $(TARGETS)

.PHONY: rehome
rehome: ## give a fork its own module path: MODULE=github.com/acme/memsoak
	@$(GO) run ./internal/rehome $(MODULE)

.PHONY: house
house: ## print how large and how tidy the code is, each figure beside what is asked for (STRICT=1: exit 99 when one is missed)
	@$(GO) run ./internal/house $(if $(STRICT),-strict)

.PHONY: lint
lint: $(TOOLS)/staticcheck-$(STATICCHECK_VERSION) ## gofmt, go vet, staticcheck, go mod tidy
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi
	@$(foreach m,$(MODULES),(cd $(m) && $(GO) vet ./... && $< ./... && $(GO) mod tidy -diff) && )true
	@GOARCH=arm $(GO) build ./profiles/... # a library, also where an int has 32 bits

# Without the database of vulnerabilities nothing is known, which is said and is no failure; a vulnerability is one.
.PHONY: vuln
vuln: ## known vulnerabilities in what the programs call (needs the Go project's database, else it skips and says so)
	@out=$$($(GO) run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./... 2>&1); code=$$?; echo "$$out"; \
	if [ $$code != 0 ] && echo "$$out" | grep -q 'fetching vulnerabilities'; then \
		echo "SKIPPED: no database of vulnerabilities can be had here"; exit 0; fi; exit $$code

$(TOOLS)/staticcheck-$(STATICCHECK_VERSION):
	GOBIN=$(TOOLS) GOFLAGS= $(GO) install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)
	mv $(TOOLS)/staticcheck $@

# rclone is the yardstick of the benches and the judge of the fakes; it is built from the module proxy, unmodified.
.PHONY: rclone
rclone: $(TOOLS)/rclone
$(TOOLS)/rclone:
	cd / && GOBIN=$(TOOLS) GOFLAGS= $(GO) install github.com/rclone/rclone@$(RCLONE_VERSION)

.PHONY: bench
bench: bench-fakedrive bench-fakes3 bench-migrator bench-soak bench-profiles bench-queues ## print every figure beside what was asked for

.PHONY: clean
clean: ## remove binaries, tools and soak results
	rm -rf bin .tools soak-results conformance-results copier

# `make soak WORKERS=1,50 GOMEMLIMIT=256MiB,1800MiB POOL=4 DESIGN=full`: once an axis is named, those that are not
# keep the subject's own setting. SUBJECT without any axis is one cell.
soak_axis = $(if $(2),--axis $(1)=$(2))
SOAK_FLAGS = $(if $(SUBJECT),--subject $(SUBJECT)) $(if $(CORPUS),--corpus $(CORPUS)) $(if $(DESIGN),--design $(DESIGN)) \
	$(if $(LIMIT),--limit $(LIMIT)) $(if $(OUT),--out $(OUT)) $(if $(PYROSCOPE_URL),--pyroscope $(PYROSCOPE_URL)) \
	$(call soak_axis,workers,$(WORKERS)) $(call soak_axis,gomemlimit,$(GOMEMLIMIT)) $(call soak_axis,gogc,$(GOGC)) $(call soak_axis,pool,$(POOL))

.PHONY: soak
soak: build ## run a matrix: WORKERS, GOMEMLIMIT, GOGC, POOL, LIMIT, CORPUS, SUBJECT, DESIGN, OUT, PYROSCOPE_URL
	bin/soak run $(SOAK_FLAGS)

.PHONY: bench-fakedrive
bench-fakedrive: build ## print what fakedrive costs, as ratios to a bare handler and to encoding/json
	$(GO) run ./fakedrive/internal/bench -fakedrive bin/fakedrive

GATE_OUT ?= soak-results/gate

.PHONY: gate
gate: build ## a small soak of the migrator, and the gate on it: what CI runs on every change
	rm -rf $(GATE_OUT)
	bin/soak run -f .ci/gate.yaml --out $(GATE_OUT) || [ $$? = 99 ]
	bin/soak gate $(GATE_OUT)

SPREAD := $(CURDIR)/soak-results/gate-spread
# Killed, crashed, idle and half-done runs, 40 of them real; those that are there are not run again.
BAD    := $(CURDIR)/soak-results/gate-bad
RECORD ?=

.PHONY: gate-bench
gate-bench: build ## print how often the gate fails equal runs, catches regressions and passes bad runs (RECORD=1: from new recordings, half an hour)
ifneq ($(RECORD),)
	rm -rf $(SPREAD)
	bin/soak run -f .ci/gate.yaml --repeats 8 --out $(SPREAD)/migrator || [ $$? = 99 ]
	bin/soak run -f soak/gate/testdata/canary-soak.yaml --out $(SPREAD)/canary
	MEMSOAK_GATE_SPREAD=migrator=$(SPREAD)/migrator,canary=$(SPREAD)/canary $(GO) test -count=1 -run TestRecordSpread ./soak/gate
endif
	MEMSOAK_GATE_BENCH=1 $(GO) test -count=1 -v -run 'TestFigures|TestFiftyCells' ./soak/gate
	mkdir -p $(BAD)
	MEMSOAK_GATE_BAD=$(BAD) MEMSOAK_BIN=$(CURDIR)/bin $(GO) test -count=1 -timeout 40m -v -run TestNoBadRunPassesTheGate ./soak/internal/drawn

# Uploads by libraries of other people: subjects of make capacity, a module of their own that no other command builds.
.PHONY: uploaders
uploaders:
	cd soak/internal/bench/capacity/uploaders && $(GO) build -o $(CURDIR)/bin/uploaders .

.PHONY: capacity
capacity: export GOFLAGS += -buildvcs=false # the same program of the same source, whatever the commit
capacity: specimens replay-subject $(TOOLS)/rclone uploaders ## answers of soak plan and soak limit beside real kills, 32 subjects x 3 limits, hours; goes on where it was (ONLY='file-*')
	PATH=$(TOOLS):$$PATH $(GO) run ./soak/internal/bench/capacity -only '$(ONLY)'

# RUN is a run's directory or a folder of runs, of make view and make pyroscope-check.
RUN ?= soak-results
GRAFANA_URL ?=

.PHONY: view
view: build ## browse runs: reports, flame graphs in pprof's own pages (RUN=dir)
	bin/soak view $(RUN)

# PYROSCOPE_BIN=program instead starts that server on loopback, and asks it for what a person opens. RUN=dir pushes that
# run, else a small one is made.
.PHONY: pyroscope-check
pyroscope-check: build ## push a run to a real server and read it back: PYROSCOPE_URL or PYROSCOPE_BIN, RUN=dir
	@test -n "$(PYROSCOPE_URL)$(PYROSCOPE_BIN)" || \
		{ echo "pyroscope-check: give PYROSCOPE_URL=http://host:4040, or PYROSCOPE_BIN=program"; exit 2; }
ifeq ($(origin RUN),file)
	rm -rf $(PYROSCOPE_RUN)
	bin/soak run --axis workers=2,4 --protocol quick --trials attribution --out $(PYROSCOPE_RUN)
endif
	$(if $(PYROSCOPE_URL),bin/soak push $(PYROSCOPE_RUN) --pyroscope $(PYROSCOPE_URL) \
		$(if $(GRAFANA_URL),--grafana $(GRAFANA_URL)) --check)
	$(if $(PYROSCOPE_BIN),PYROSCOPE_BIN=$(PYROSCOPE_BIN) MEMSOAK_RUN=$(abspath $(PYROSCOPE_RUN)) \
		$(GO) test -count=1 -timeout 20m -v -run TestViewsOnARealServer ./soak/internal/pyroscope)
PYROSCOPE_RUN = $(if $(filter file,$(origin RUN)),soak-results/pyroscope-check,$(RUN))

.PHONY: conformance-fakes3
conformance-fakes3: rclone ## uploads by rclone and the AWS, minio and JavaScript SDKs arrive in the S3 sink as they were sent
	@$(NEEDS) npm >/dev/null
	MEMSOAK_CONFORMANCE=1 $(GO) test -count=1 -run 'Conformance|AWS|Minio|Copy|Conditional|Refusals' -v ./soak/internal/fakes3

.PHONY: bench-fakes3
bench-fakes3: build ## print what the S3 sink costs: memory under 16 uploads of 1 GiB, speed as ratios to a bare handler
	$(GO) run ./soak/internal/bench/fakes3 -soak bin/soak

# Other people's clients as judges of the fakes. They are installed from the Go module proxy and the npm registry.
.PHONY: conformance conformance-drive
conformance: conformance-drive conformance-fakes3 ## run rclone, its own suite, and Google's Go and Node clients against the fakes
conformance-drive: rclone
	@$(NEEDS) npm >/dev/null
	MEMSOAK_CONFORMANCE=1 $(GO) test -count=1 -timeout 40m -v ./fakedrive/internal/conformance/...
	MEMSOAK_CONFORMANCE=1 $(GO) test -count=1 -timeout 20m -race -v -run TestConcurrentWriters ./fakedrive

.PHONY: observe
observe: ## bring up Pyroscope, Prometheus, Grafana and a soak by docker compose, and print the addresses
	docker compose up --detach --build --wait pyroscope-ready prometheus grafana fakedrive fakes3 migrator
	docker compose up --detach soak reports
	@echo "Grafana     http://127.0.0.1:3000   (dashboards: memsoak)"
	@echo "Prometheus  http://127.0.0.1:9090"
	@echo "Pyroscope   http://127.0.0.1:4040   (make soak PYROSCOPE_URL=http://127.0.0.1:4040 feeds it)"
	@echo "migrator    http://127.0.0.1:8080   fakedrive http://127.0.0.1:9001   S3 sink http://127.0.0.1:9002"
	@echo "reports     http://127.0.0.1:9004   (when the first trial is done)"
	@echo "stop        docker compose down     (with --volumes to forget)"

# Without a registry nothing is known of an image, which is said and is no failure; one that a registry denies is.
.PHONY: images-check
images-check: ## look up the images of docker-compose.yml by tag, and print their digests (needs docker and a registry, else it skips)
	@for i in $$(sed -n 's/.*image: $${[A-Z_]*:-\(.*\)}$$/\1/p' docker-compose.yml); do \
	if out=$$(timeout 60 docker manifest inspect --verbose $$i 2>&1); then \
		echo "$$i $$(grep -m1 -o 'sha256:[0-9a-f]*' <<<"$$out")"; \
	elif grep -qiE 'no such manifest|manifest unknown|not found' <<<"$$out" && command -v docker >/dev/null; then \
		echo "MISSING: $$i: $$out"; exit 1; \
	else echo "SKIPPED: $$i is unverified: $$(head -1 <<<"$$out" | cut -c1-100)"; fi; done

# QUICK=1 has smaller trees; RECORD=1 adds the figures to bench/history.json, which the next run is compared with.
BENCH_MIGRATOR = MIGRATOR_BIN=$(CURDIR)/bin $(GO) run ./migrator/internal/bench $(if $(RECORD),-record)
.PHONY: bench-migrator bench-guard
bench-migrator: build $(TOOLS)/rclone ## print the migrator's figures beside a bare pipe, one by the same SDKs, and rclone (QUICK=1: smaller, RECORD=1)
	$(BENCH_MIGRATOR) -rclone $(TOOLS)/rclone $(if $(QUICK),-quick)
bench-guard: build ## the ratios of processor time alone, for CI: exit code 99 where one is missed beyond doubt (a minute)
	$(BENCH_MIGRATOR) -guard

# ONLY=ants runs one; FRESH=1 runs those that memtest met after it was finished.
.PHONY: memtest-libraries
memtest-libraries: ## memtest on real libraries with a known leak and without it, from the module proxy (3 minutes)
	@cd examples/memtest-libraries && $(GO) run . $(if $(ONLY),-only $(ONLY)) $(if $(FRESH),-fresh)

# ONLY=caddy-2.6.3 runs one; what is kept in soak-results/real-services is not done again.
.PHONY: real-services
real-services: build ## known open-source services, built from the module proxy, as subjects: what soak says beside what is measured by hand
	@cd examples/real-services && $(GO) run . -soak $(CURDIR)/bin/soak -out $(CURDIR)/soak-results/real-services $(if $(ONLY),-only $(ONLY))

.PHONY: bench-profiles
bench-profiles: ## print what diagnosing a recorded run of 45 cells costs (asked for: 3 s of CPU, 150 MiB)
	$(GO) test -run '^$$' -bench DiagnoseRun45 -benchtime 1x ./profiles

# SEEDS is the number of trials per specimen on the quiet machine, UPDATE=1 writes profiles/baselines/accuracy.json, ONLY='leak-* ok-*'
# selects specimens and CONDITIONS=quiet,passive conditions. A run that was broken off goes on where it was, with the same build.
SEEDS      ?= 8
ONLY       ?=
CONDITIONS ?= all

.PHONY: accuracy accuracy-quick specimens
specimens: build ## build the subjects with one known fault each, and the bench that runs them
	$(GO) build -o bin/specimens ./soak/specimens
	$(GO) build -o bin/accuracy ./soak/internal/accuracy/cmd
accuracy: specimens ## how often verdicts are right or comfort wrongly, by condition (SEEDS=8, CONDITIONS=all, ONLY='leak-*', UPDATE=1, SCORED=1: report on what there is)
	bin/accuracy --seeds $(SEEDS) --conditions $(CONDITIONS) $(if $(SCORED),--scored,--resume) --out soak-results/accuracy $(foreach p,$(ONLY),'$(p)') $(if $(UPDATE),--update)
# Its first run is the first look, which is committed beside the truth before any rule changes (CONTRIBUTING.md).
.PHONY: accuracy-heldout
accuracy-heldout: specimens ## the same on the held-out specimens alone, one trial each
	bin/accuracy --seeds 1 --keep --out soak-results/heldout $(patsubst %.yaml,'%',$(notdir $(wildcard soak/specimens/heldout2/truth/*.yaml)))
.PHONY: accuracy-http
accuracy-http: specimens ## the same on HTTP services whose faults are known (HTTP_SEEDS=1, ONLY='web-*')
	bin/accuracy --specimens soak/specimens/web --protocol service --seeds $(or $(HTTP_SEEDS),1) $(foreach p,$(ONLY),'$(p)')
.PHONY: accuracy-plants
accuracy-plants: ## growth planted into recordings: found at the printed limit and at half of it (PLANTS=10 of each kind in each recording)
	@set -o pipefail; $(GO) test ./profiles -run TestGrowthPlantedIntoRecordings -count=1 -plants $(or $(PLANTS),10) -v \
	| grep -E 'at the limit|^ok|FAIL|Error:'
.PHONY: accuracy-live-plants
accuracy-live-plants: specimens ## growth planted into live subjects: found at the printed limit and at half of it (PLANTS=13 of each kind at each)
	bin/accuracy --plants $(or $(PLANTS),13) --resume --out soak-results/plants
accuracy-quick: specimens ## a stratified part of that, and a fault and a look-alike of each fast condition, for CI (8 minutes)
	bin/accuracy --quick

.PHONY: bench-gateway
bench-gateway: ## print what a gate costs: CPU and throughput against httputil.ReverseProxy, memory of a held request
	$(GO) run ./soak/internal/bench/gateway

.PHONY: bench-soak
bench-soak: specimens ## print what measuring costs: subject slowed, harness CPU, time of a cell, 500 trials without a trace
	$(GO) run ./soak/internal/bench/harness -bin bin

# TRIALS are run one by one, and as many two beside each other; 200 take an hour and a half on two cores.
.PHONY: bench-parallel
bench-parallel: specimens ## print whether verdicts of trials beside each other are those of trials one by one (TRIALS=20)
	$(GO) run ./soak/internal/bench/harness -bin bin -only beside -beside $(or $(TRIALS),20)

# QUEUE is the broker of make processes.
QUEUE ?= redis

.PHONY: processes
processes: build ## copy a tree in six processes that share a queue, one of them killed: QUEUE=redis or rabbitmq
	@$(NEEDS) $(QUEUE)-server >/dev/null
	QUEUE=$(QUEUE) migrator/examples/processes.sh bin

# SCALE divides the millions of make bench-scale; parts that are done are not run again (FRESH=1 forgets them).
.PHONY: bench-scale
bench-scale: build ## 10,000,000 files listed, 1,000,000 copied and verified, embedded and on Redis: memory and time (SCALE=10, hours by 1)
	$(if $(FRESH),rm -rf soak-results/scale)
	MIGRATOR_BIN=$(CURDIR)/bin $(GO) run ./migrator/internal/bench -only scale -scale $(or $(SCALE),1)

.PHONY: bench-queues
bench-queues: build ## print the figures of the queues on brokers: 1,000,000 items, uploaders beside the embedded queue (QUICK=1: smaller, ONLY=rabbitmq)
	MIGRATOR_BIN=$(CURDIR)/bin $(GO) run ./migrator/internal/bench -only $(or $(ONLY),redis,rabbitmq) $(if $(QUICK),-quick)

# QUICK=1 has fewer cells, SCALE=16 divides sizes, ONLY='v2.4.*' selects rows, REPEATS=5 counts how stable verdicts are, RESUME=1 goes on
# where the newest replay (or OUT) was broken off.
SCALE   ?=
REPEATS ?=
RESUME  ?=
REPLAY   = bin/replay-study $(if $(QUICK),--quick) $(if $(SCALE),--scale $(SCALE)) $(if $(REPEATS),--repeats $(REPEATS)) $(foreach r,$(ONLY),--rows '$(r)') $(if $(OUT),--out $(OUT))

.PHONY: replay replay-page replay-subject
replay-subject: build ## build bin/replay, the service that memsoak began with, and bin/replay-study, which runs its history
	$(GO) build -o bin/ ./soak/replay ./soak/replay/cmd/replay-study
replay: replay-subject $(if $(QUICK),,$(TOOLS)/rclone) ## run the history that memsoak began with, and say what held its memory (QUICK=1, RESUME=1, SCALE=16, ONLY='v2.4.*', REPEATS=5)
	@$(NEEDS) redis-server >/dev/null || echo "the external queue is skipped"
	$(REPLAY) $(if $(RESUME),--resume)
replay-page: replay-subject $(if $(QUICK),,$(TOOLS)/rclone) ## put the newest replay's table and pictures into the page about it; give the same QUICK=1 as for the replay
	$(REPLAY) --resume --page dashboards/WHAT-HELD-THE-MEMORY.md

# INPUTS and SEED of make bad-input: the same seed makes the same inputs.
INPUTS ?= 2000
SEED   ?= 1

.PHONY: bad-input
bad-input: build ## give all commands generated wrong inputs: no panic, no hang, no exit of 0, one line each (INPUTS=2000, SEED=1)
	$(GO) run ./internal/badinput -n $(INPUTS) -seed $(SEED)

# ROUNDS of make chaos; make chaos-quick is one. A missed row ends it with 99.
ROUNDS ?= 10
CHAOS   = export MEMSOAK_CHAOS=$(1) MEMSOAK_BIN=$(CURDIR)/bin MIGRATOR_BIN=$(CURDIR)/bin; missed=; set -o pipefail; \
	$(MAKE) --no-print-directory bad-input INPUTS=$(2) || missed=1; \
	$(GO) test -count=1 -timeout 60m -v -run TestHostileSubjects ./soak/internal/drawn | $(CHAOS_ROWS) || missed=1; \
	$(GO) test -count=1 -timeout 60m -v -run '$(CHAOS_TESTS)' \
	./migrator/internal/e2e | $(CHAOS_ROWS) || missed=1; [ -z "$$missed" ] || exit 99
CHAOS_TESTS = TestKilledAnywhere|TestStormUntilDone|TestStoppedAndContinued|TestFullDiskForTheQueue|TestReadOnlyFolder
CHAOS_TESTS := $(CHAOS_TESTS)|TestExpiredCertificates|TestFilesThatChange|TestRedisThat
CHAOS_SEEN = \| |^ *--- (FAIL|SKIP)|NOT TESTED|Error|^ok|FAIL
CHAOS_ROWS = grep -E '$(CHAOS_SEEN)'

.PHONY: chaos chaos-quick
chaos: build ## hostile subjects, kill -9, stops, storms of 503, a full disk, bad inputs: each row beside what was asked for (ROUNDS=10)
	@$(call CHAOS,$(ROUNDS),2000)
chaos-quick: build ## the same, one round of each, for CI (a minute)
	@$(call CHAOS,1,200)

# POINTS copies are each killed one to three times at random, three of four under faults on both sides, which strike some
# 170 times a copy: 800 copies are more than 500 kills and 100,000 faults. Each object is compared with the corpus. A run
# that was broken off goes on (FRESH=1 forgets it).
POINTS ?= 800
.PHONY: kills
kills: build ## kill copies at random points and compare every object: 500 kills and 100,000 faults, none lost, none wrong (POINTS=800)
	$(if $(FRESH),rm -rf soak-results/kills)
	@set -o pipefail; MIGRATOR_BIN=$(CURDIR)/bin MEMSOAK_KILLS=$(POINTS) MEMSOAK_KILLS_DIR=$(CURDIR)/soak-results/kills \
	$(GO) test -count=1 -timeout 6h -v -run TestKilledAnywhere ./migrator/internal/e2e | grep -E --line-buffered 'copies, |$(CHAOS_SEEN)'

# JOBS is how many recordings run side by side, ONLY='sessions' selects some, PROFILES=dir reads a folder of others' profiles.
.PHONY: recordings recordings-judge
recordings: build ## record 108 real library bugs and look-alikes for a minute each, ten for ten minutes, and print how they are judged (JOBS=4, ONLY='sessions')
	$(GO) run ./soak/internal/accuracy/recordings/cmd -soak bin/soak -jobs $(or $(JOBS),4) -only '$(ONLY)'
	$(GO) test -count=1 -run TestRecordingsOfLibraries ./soak/cmd/soak -update-recordings
	@$(MAKE) --no-print-directory recordings-judge
recordings-judge: ## judge the recordings that are in the repository, and a folder of profiles: PROFILES=dir
	PROFILES=$(PROFILES) $(GO) test -count=1 -v -run 'TestRecordingsOfLibraries$(if $(PROFILES),|TestFoldersOfOthers)' ./soak/cmd/soak

.PHONY: agree
agree: ## what the fake Drive says of a file is the same through every door: 100,000 generated queries against a reference
	@set -o pipefail; MEMSOAK_AGREE=100000 $(GO) test -count=1 -timeout 40m -v -run TestDoorsAgree ./fakedrive \
	| grep -vE --line-buffered '^=== |^ +--- PASS'
