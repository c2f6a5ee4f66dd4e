# `make demo` and `make test` do all set-up themselves. Needs git, make and Python 3.11 or 3.12 with venv; no compiler.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV ?= .venv
TRAIN ?= 1
BUILD ?= build
BIN = $(VENV)/bin
# Nothing of ours in the user's home, no telemetry.
export PREFECT_HOME ?= $(abspath $(BUILD))/prefect
export DO_NOT_TRACK = 1
export PREFECT_SERVER_ANALYTICS_ENABLED = false
export RAY_USAGE_STATS_ENABLED = 0
export PIP_DISABLE_PIP_VERSION_CHECK = 1

ifeq ($(TRAIN),0)
TORCH =
DEMO = --no-train
else
TORCH = $(VENV)/.torch
DEMO = --train
endif

.PHONY: help demo test lint clean setup lock bench-render bench-filter bench-pairs bench-cluster boundaries

help:
	@echo "make demo [TRAIN=0]   build the quickstart's data set, end to end (TRAIN=0: without PyTorch and training)"
	@echo "make test [TRAIN=1]   run the tests (TRAIN=1 installs PyTorch and runs the trainer's too)"
	@echo "make lint             ruff and mypy"
	@echo "make bench-render     rendering against the plain loop and Pillow, as ratios"
	@echo "make bench-filter     the alt-text filter against bare fastText and the bare loop, as ratios"
	@echo "make bench-pairs      documents and bitext to pairs, against bare splitting and bare fastText"
	@echo "make bench-cluster    rendering on Ray: a second worker, and the driver's memory in the number of shards"
	@echo "make boundaries       sentence boundaries recovered in WMT22, beside four libraries"

demo: $(VENV)/.core $(TORCH)
	@$(BIN)/pixelpairs demo --root $(BUILD)/demo $(DEMO)

# PyTorch stays optional: it comes only when asked for.
test: $(VENV)/.dev $(if $(filter command line,$(origin TRAIN)),$(TORCH))
	$(BIN)/python -m pytest $(PYTEST)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench-render: $(VENV)/.dev
	$(BIN)/python -m benchmarks.bench_render

bench-filter: $(VENV)/.dev
	$(BIN)/python -m benchmarks.bench_filter

bench-cluster: $(VENV)/.dev
	$(BIN)/python -m benchmarks.bench_cluster

# What these compare with: the extra `bench`, no part of the lock files.
$(VENV)/.bench: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet -e .[bench]
	@touch $@

bench-pairs: $(VENV)/.bench
	$(BIN)/python -m benchmarks.bench_documents
	$(BIN)/python -m benchmarks.bench_bitext

boundaries: $(VENV)/.bench
	$(BIN)/python -m benchmarks.boundaries

setup: $(VENV)/.dev $(TORCH)

# pip compiles bytecode as it installs; --no-deps because the lock file is complete.
INSTALL = $(BIN)/python -m pip install --quiet --no-deps --require-hashes

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 13) else f"Python 3.11 or 3.12 is needed, $(PYTHON) is {v[0]}.{v[1]}: make PYTHON=…")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: requirements/core.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing (1.2 GB on disk, a minute or two) …"
	$(INSTALL) -r requirements/core.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.core
	$(INSTALL) -r requirements/dev.lock
	@touch $@

# Plain, without hashes: whichever build of this release is at hand, CPU or CUDA, is taken.
$(VENV)/.torch: $(VENV)/.core
	$(BIN)/python -m pip install --quiet torch==2.13.0
	@touch $@

# New lock files; needs uv. No index host goes into them.
lock:
	uv pip compile -q pyproject.toml --extra build --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements/core.lock
	uv pip compile -q pyproject.toml --extra build --extra dev --extra similarity --extra web --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header --no-annotate -c requirements/core.lock -o requirements/dev.lock

clean:
	rm -rf $(BUILD)
