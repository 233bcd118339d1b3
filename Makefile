# Belfry. `make run` serves it, `make test` checks everything; both build or install what they need.

CARGO  ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
BELFRY := $(TARGET)/debug/belfry
# Vite needs Node 20.19; an older one counts as none.
NODE   := $(shell node -e 'const [a, b] = process.versions.node.split(".").map(Number); \
            if (20 < a || (a === 20 && 19 <= b)) console.log("node")' 2>/dev/null)
NEXTEST := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo nextest)

export BELFRY_BIN := $(abspath $(BELFRY))

.PHONY: help run test test-fast test-postgres lint build schema schema-accept console console-test browser clients \
        load load-short faults faults-short fuzz soak bench

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: console ## build and serve on http://127.0.0.1:8000 with ./belfry.db; loopback targets allowed
	$(CARGO) build --release --bin belfry
	BELFRY_ALLOW_TARGETS=127.0.0.0/8,::1/128 $(TARGET)/release/belfry serve

test: ## every check; installs what is missing (Debian)
	tests/install.sh
	$(MAKE) console
	$(MAKE) lint
	$(MAKE) test-fast
	$(MAKE) test-postgres
	$(MAKE) load-short
	$(MAKE) faults-short
	$(MAKE) console-test
	$(MAKE) browser
	$(MAKE) clients

test-fast: build ## the Rust tests alone
ifeq ($(NEXTEST),)
	$(CARGO) test --workspace
else
	$(CARGO) nextest run --workspace --no-fail-fast
endif

test-postgres: build ## the stories on PostgreSQL and Redis, both started for them
ifeq ($(NEXTEST),)
	BELFRY_TEST_HOME=postgres $(TARGET)/debug/services -- $(CARGO) test --package tests
else
	BELFRY_TEST_HOME=postgres $(TARGET)/debug/services -- $(CARGO) nextest run --package tests --no-fail-fast
endif

lint: ## formatting, clippy, dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) deny --log-level error check bans licenses sources

build: ## the debug binaries, which the process tests start; with the whole workspace's features
	$(CARGO) build --workspace --bins

schema: build ## write schema.graphql anew
	$(BELFRY) schema > schema.graphql

schema-accept: schema ## accept the schema as it is: from now on clients are held to this one
	cp schema.graphql docs/schema/last.graphql

console: ## the bundle of the playground, when Node is there
ifeq ($(NODE),)
	@echo 'No Node 20.19 or newer: the small built-in query page stands in for the playground'
else
	@cd console && ([ -d node_modules ] || npm ci --no-audit --no-fund --silent) && npm run --silent build
endif

console-test: ## the operations that the playground offers, against schema.graphql
ifneq ($(NODE),)
	cd console && npm run --silent check
endif

browser: build ## the playground of a real server in a real browser
	tests/browser/run.sh

clients: build ## the clients that strangers use against a real server; the schema's rules and its changes
ifeq ($(NODE),)
	@echo 'No Node 20.19 or newer: the clients are skipped'
else
	tests/clients/run.sh
endif

load: ## the load table; ONLY=drain,steady and HOME_OF=sqlite or postgres choose a part of it
	$(CARGO) build --release --package belfry --package tests --bin belfry --bin load
	BELFRY_BIN=$(abspath $(TARGET)/release/belfry) $(TARGET)/release/load \
	  $(if $(ONLY),--only $(ONLY)) $(if $(HOME_OF),--home $(HOME_OF))

load-short: build ## whether the load harness itself works; its figures mean nothing
	$(TARGET)/debug/load --short --home sqlite --only drain,steady,day

faults: build ## real processes on real services, broken in every way; ONLY=Redis chooses, HOME_OF as above
	$(TARGET)/debug/faults $(if $(ONLY),--only "$(ONLY)") $(if $(HOME_OF),--home $(HOME_OF))

fuzz: ## 100,000 random documents and millions of random texts; SEED= begins elsewhere
	$(CARGO) build --release --package belfry --package tests --bin fuzz
	$(TARGET)/release/fuzz $(if $(SEED),--seed $(SEED))

soak: ## every zone and change of clocks 2000-2040 against a walk along the clock; 1,000 random schedules simulated and played
	$(CARGO) build --release --package belfry --package tests --bin soak
	$(TARGET)/release/soak

bench: ## how long it takes to find the next instant, and to refuse an expression
	$(CARGO) bench --package belfry --bench next_instant

faults-short: build ## the part of it that fits into every run of the tests
	$(TARGET)/debug/faults --short --at-a-time 4
