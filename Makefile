# Two commands on a fresh machine: `make quickstart` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PY     := $(BIN)/python
MINUTES ?=
CORPUS  ?=

RUST_SOURCES := $(shell find rust -name '*.rs' -o -name Cargo.toml 2>/dev/null) Cargo.toml Cargo.lock

.DEFAULT_GOAL := help
.PHONY: help quickstart demo test test-rust test-python test-browser lint format bench clean check-tools

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

quickstart: $(VENV)/.installed ## install, then corpus → tokenizer → n-grams → transformer → table
	$(BIN)/lexigram quickstart $(if $(MINUTES),--minutes $(MINUTES)) $(if $(CORPUS),--corpus $(CORPUS))

demo: $(VENV)/.installed-demo ## the browser demo, on this machine only
	$(PY) demo/app.py

test: test-rust test-python ## install, then the Rust and the Python tests

test-rust: check-tools ## the Rust tests (no Python needed)
	cargo test --locked

test-python: $(VENV)/.installed-dev ## the Python tests
	$(PY) -m pytest

test-browser: $(VENV)/.installed-dev ## the demo in headless Chromium (needs chromium)
	$(PY) -m pytest -m browser

lint: $(VENV)/.installed-dev ## what must be clean: ruff, mypy, stubtest, rustfmt, clippy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=python $(PY) -m mypy.stubtest lexigram._core
	cargo fmt --all --check
	PYO3_PYTHON=$(abspath $(PY)) cargo clippy --locked --workspace --all-targets -- -D warnings

format: $(VENV)/.installed-dev ## format the sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	cargo fmt --all

bench: $(VENV)/.installed-dev ## measure every stage on this machine (see docs/benchmarks.md)
	$(PY) benchmarks/path.py

clean: ## remove what was built and installed here
	rm -rf $(VENV) target python/lexigram/*.so

check-tools:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || \
	  { echo "lexigram needs Python 3.10 or newer; '$(PYTHON)' is not. Install it (Debian: apt install python3 python3-venv), or run: make PYTHON=/path/to/python3 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing. Install it (Debian: apt install python3-venv)." >&2; exit 1; }
	@command -v cargo >/dev/null || \
	  { echo "lexigram needs a Rust toolchain (1.89 or newer): https://rustup.rs" >&2; exit 1; }

$(PY): | check-tools
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip

# Editable installs: Python sources are used in place; Rust sources rebuild when they change.
$(VENV)/.installed: pyproject.toml $(RUST_SOURCES) | $(PY)
	$(PY) -m pip install --editable '.[torch]'
	@touch $@

$(VENV)/.installed-demo: pyproject.toml $(RUST_SOURCES) | $(PY)
	$(PY) -m pip install --editable '.[demo]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: pyproject.toml $(RUST_SOURCES) | $(PY)
	$(PY) -m pip install --editable '.[dev]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-demo
