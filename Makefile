# The front door. Nothing behind it needs more than the Rust toolchain of rust-toolchain.toml, but lint-machines, which
# needs python3 and npm, and what is about AWS, which needs python3; deploy needs the AWS CLI. cargo-nextest and
# cargo-deny are used where they are installed.

.DEFAULT_GOAL := help
.PHONY: help demo test test-gitlab test-kubectl test-stores test-stores-dynamodb-local live e2e bench-lambda bench-sizes coverage \
	bench judge chaos crash fuzz lint lint-machines lint-infra generate record ci build package deploy layer-istioctl clean

CARGO ?= cargo
ROOT := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))

# A build server checks out afresh each time: what is compiled stays outside, from one run to the next.
ifeq ($(CI),true)
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/guard-target
endif

# Larger samples of real files, where they lie beside the checkout. Tests that know of them do without otherwise.
FIXTURES := $(abspath $(wildcard $(ROOT)/../shared/fixtures))
ifneq ($(FIXTURES),)
export GUARD_FIXTURES ?= $(FIXTURES)
endif

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-26s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# Named beside a test, the command is built with the features that tests have: nothing is compiled twice.
demo: ## Watch a clean upgrade and a regression that is rolled back, in virtual time
	@$(CARGO) build -q --workspace --bin guard --test architecture
	@$${CARGO_TARGET_DIR:-$(ROOT)/target}/debug/guard simulate --scenario clean --clusters 5
	@$${CARGO_TARGET_DIR:-$(ROOT)/target}/debug/guard simulate --scenario regression --clusters 5

test: ## Run every test, doc tests included
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run --workspace --no-fail-fast && $(CARGO) test -q --workspace --doc; \
	else \
		$(CARGO) test -q --workspace; \
	fi

# The suite of the stores once more, with a server: `make test` alone says that its DynamoDB half was skipped.
STORES := if $(CARGO) nextest --version >/dev/null 2>&1; then set -- nextest run --no-fail-fast; else set -- test -q; fi; \
	$(CARGO) "$$@" --workspace --test stores

test-stores: ## Run the stores' tests against DynamoDB's protocol; needs Python, installs ministack once
	@$(ROOT)/scripts/ministack sh -c '$(STORES)'

# The server's namespace has no network and no build server: what is to compile is compiled before.
test-stores-dynamodb-local: ## The same against Amazon's DynamoDB Local; see scripts/dynamodb-local for its licence
	@$(CARGO) test -q --workspace --test stores --no-run
	@$(ROOT)/scripts/dynamodb-local sh -c '$(STORES)'

test-gitlab: ## Let python-gitlab, a client of other people, use the simulated GitLab; needs Python, installs it once
	@$(CARGO) build -q --workspace --bin guard-world --test architecture
	@$(ROOT)/scripts/gitlab-client $${CARGO_TARGET_DIR:-$(ROOT)/target}/debug/guard-world

test-kubectl: ## Let kubectl, a client of other people, use a simulated API server; needs Python, installs it once
	@$(CARGO) build -q --workspace --bin guard-world --test architecture
	@$(ROOT)/scripts/kubectl-client $${CARGO_TARGET_DIR:-$(ROOT)/target}/debug/guard-world

# One suite after the other, with what each says: what was skipped and which variable it wanted.
live: ## Hold the ports against real systems, as far as variables name them; tests/live/main.rs lists them
	@GUARD_LIVE=true $(CARGO) test -q --workspace --test live -- --nocapture --test-threads=1 real

e2e: ## Drive the compiled functions by a real Step Functions API on this machine; needs Python, installs the rest
	@$(ROOT)/scripts/e2e

coverage: ## Line coverage of domain and tasks, with the lines that no test runs; fails below 90 %
	@scripts/coverage

bench: ## Time decisions, machines and whole fleets, in a release build; print the tables of docs/performance.md
	@$(CARGO) bench -q -p guard-benchmarks

judge: ## Measure the soak judge and two rivals on labelled series, in a release build; needs GUARD_FIXTURES
	@test -n "$(GUARD_FIXTURES)" || { echo "judge: GUARD_FIXTURES names no folder with series/INDEX.csv" >&2; exit 2; }
	@$(CARGO) run -q --release -p guard-series --example measure -- $(GUARD_FIXTURES)/series

bench-lambda: ## Package in the release profile and measure each function: size, start, memory
	@$(ROOT)/scripts/bench-lambda

bench-sizes: ## Put a batch of 75 clusters and a cluster of 1,500 workloads through the functions: time, CPU, memory
	@$(ROOT)/scripts/e2e sizes.py

# Both halves of the seeds run beside each other, and both halves of a journey.
SEEDS ?= 10000
chaos: ## Play odd stories by seed, in which much goes wrong at once: [SEEDS=10000]
	@GUARD_CHAOS_SEEDS=$(SEEDS) $(CARGO) test -q --profile chaos --workspace --test chaos -- --nocapture

crash: ## Let every call and every state of two journeys go wrong in every way, each look of each loop at each cluster
	@GUARD_CHAOS=all $(CARGO) test -q --profile chaos --workspace --test crash_everywhere --test replay \
		--no-fail-fast -- --nocapture

fuzz: ## Fuzz the edit of Flux files for a minute: [SECONDS_EACH=60]; installs cargo-fuzz once, needs a C++ compiler
	@$(ROOT)/scripts/fuzz

lint: ## Check format, lints, docs, and licences where cargo-deny is installed
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy -q --workspace --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc -q --workspace --no-deps
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check bans licenses sources; fi

lint-machines: ## Ask two validators of other people about every state machine
	@sh $(ROOT)/scripts/asl-second-opinion

lint-infra: ## Ask cfn-lint about the templates of infra/
	@sh $(ROOT)/scripts/lint-infra

generate: ## Make the generated files again: schemas, drawings, docs/cli.md, bodies of notifications, texts of merge requests
	@UPDATE=1 $(CARGO) test -q --workspace --test generated --test bodies --test texts

record: ## Record what this release does, once, for tests/replay: files that are there are never made again
	@RECORD=1 $(CARGO) test -q --workspace --test replay this_release_is_recorded

ci: lint lint-machines lint-infra test test-stores test-gitlab test-kubectl demo ## What a merge needs: all lints, all tests but e2e, demo

build: ## Compile everything, unoptimised
	@$(CARGO) build --workspace --all-targets

# One word drives the build and the template. arm64 is built but not tested here.
export ARCH ?= x86_64

package: ## Build and zip the functions for Lambda: ARCH=x86_64|arm64
	@sh $(ROOT)/scripts/package

deploy: ## Create or update the stack from what was packaged: BUCKET=... [STACK=guard] [PARAMETERS=file.json]
	@sh $(ROOT)/scripts/deploy

layer-istioctl: ## Make a Lambda layer of istioctl: ISTIO_VERSION=1.30.5; needs the network
	@sh $(ROOT)/scripts/layer-istioctl

clean: ## Remove what was compiled
	@$(CARGO) clean
