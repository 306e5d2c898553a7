# `make` checks the code in minutes, without network; `make demo` shows what it does. `make help` lists the rest.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := check
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# In the venv, so that they die with it.
STAMPS := $(VENV)/stamps
PYTEST := $(BIN)/python -m pytest
# Everything that ends up in fairlead._core.
RUST := Cargo.toml Cargo.lock $(shell find crates -type f -not -path '*/target/*')

export CARGO_TERM_PROGRESS_WHEN ?= auto
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Joined by +: side by side (scripts/gate.py).
CHECKS := fmt-check lint types+layers stubs gen-check rust-lint rust-test+unit+contract
TESTS := integration+faults conformance+e2e

.PHONY: help
help: ## List the targets.
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

# ------------------------------------------------------------------ setting up

.PHONY: setup
setup: $(STAMPS)/dev $(STAMPS)/core ## Make .venv with everything for development, and build the Rust part.

$(STAMPS)/venv: scripts/tools.sh
	bash scripts/tools.sh $(PYTHON)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	mkdir -p $(STAMPS)
	touch $@

$(STAMPS)/servers: $(STAMPS)/dev scripts/tools.sh tests/serverkit/servers.txt
	bash scripts/tools.sh $(PYTHON) tests
	@echo "== MLflow's and an S3 server, for tests, in an environment of their own"
	$(BIN)/python -c "from tests.serverkit.servers import program; program('mlflow')"
	touch $@

# $(STAMPS)/demo and $(STAMPS)/dev: the dependencies with that extra of pyproject.toml.
$(STAMPS)/demo $(STAMPS)/dev: $(STAMPS)/%: $(STAMPS)/venv pyproject.toml scripts/requirements.py
	@echo "== Python packages for '$*'"
	$(BIN)/python scripts/requirements.py $* | $(BIN)/python -m pip install -r /dev/stdin
	touch $@

$(STAMPS)/core: $(STAMPS)/venv $(RUST) pyproject.toml
	@echo "== fairlead._core (the first build compiles every crate and takes some minutes)"
	$(BIN)/python -m pip install --quiet "$$($(BIN)/python scripts/requirements.py --only maturin)"
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --release
	touch $@

# ------------------------------------------------------------------ using it

.PHONY: demo
demo: $(STAMPS)/core $(STAMPS)/demo ## From data to a served endpoint, and rollouts under traffic: about three minutes after the build.
	$(BIN)/fairlead demo $(ARGS)

.PHONY: wheel
wheel: $(STAMPS)/core ## Build the abi3 wheel into dist/.
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin build --release --out dist

.PHONY: bench
bench: setup ## Run all benchmarks against the peers; ARGS="--quick" for a smoke run.
	$(BIN)/python -m benchmarks.serve $(ARGS)

.PHONY: bench-%
bench-%: setup ## Run one benchmark module: make bench-serve ARGS="--only fairlead".
	$(BIN)/python -m benchmarks.$* $(ARGS)

# ------------------------------------------------------------------ checking

.PHONY: check
check: setup ## The gate before every commit: format, lint, types, layers, unit and contract tests.
	@$(BIN)/python scripts/gate.py $(CHECKS)

.PHONY: test
test: setup ## Everything: check, then integration, conformance, faults and e2e tests.
	@$(BIN)/python scripts/gate.py $(CHECKS) $(TESTS)

.PHONY: fmt
fmt: $(STAMPS)/dev ## Format Python and Rust.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cargo fmt --all

.PHONY: gen
gen: setup ## Regenerate schema/*.json and docs/reference/*.md.
	$(BIN)/python scripts/generate.py

.PHONY: fmt-check lint types layers stubs gen-check rust-lint rust-test
fmt-check: $(STAMPS)/dev
	$(BIN)/ruff format --check .
	cargo fmt --all --check

lint: $(STAMPS)/dev
	$(BIN)/ruff check .

types: $(STAMPS)/dev
	$(BIN)/mypy

layers: $(STAMPS)/dev
	cd python && ../$(BIN)/lint-imports --config ../pyproject.toml --cache-dir ../.import_linter_cache

stubs: setup
	$(BIN)/python -m mypy.stubtest fairlead._core

gen-check: setup
	$(BIN)/python scripts/generate.py --check

rust-lint:
	cargo clippy --workspace --all-targets --locked -- -D warnings

rust-test:
	cargo test -p fairlead-dataplane --locked

.PHONY: unit contract integration conformance faults e2e
integration faults conformance: $(STAMPS)/servers
unit contract integration conformance faults e2e: setup
	$(PYTEST) tests/$@ $(ARGS)

.PHONY: deny
deny: ## Licences, advisories and duplicates of the Rust crates (needs cargo-deny).
	cargo deny check
