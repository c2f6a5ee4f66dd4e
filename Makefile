# `make demo` and `make test` do all set-up themselves. Needs git, make and Python 3.11 or 3.12 with venv; no compiler.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV ?= .venv
INFRA_VENV ?= .venv-infra
TRAIN ?= 1
BUILD ?= build
# Processes that run tests; 0: this one alone.
JOBS ?= 2
BIN = $(VENV)/bin
# Nothing of ours in the user's home, no telemetry.
export PREFECT_HOME ?= $(abspath $(BUILD))/prefect
export DO_NOT_TRACK = 1
export PREFECT_SERVER_ANALYTICS_ENABLED = false
export RAY_USAGE_STATS_ENABLED = 0
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Where the tests of infra/ find the tools that hold it against schemas.
export INFRA_TOOLS ?= $(abspath $(INFRA_VENV))/bin

ifeq ($(TRAIN),0)
TORCH =
DEMO = --no-train
else
TORCH = $(VENV)/.torch
DEMO = --train
endif

.PHONY: help demo test lint clean setup lock bench-render bench-filter bench-pairs bench-cluster bench-loader bench-gpu boundaries experiments check-infra

help:
	@echo "make demo [TRAIN=0]   build the quickstart's data set, end to end (TRAIN=0: without PyTorch and training)"
	@echo "make test [TRAIN=1]   run the tests (TRAIN=1 installs PyTorch and runs the trainer's too; JOBS=2 processes)"
	@echo "make lint             ruff and mypy"
	@echo "make check-infra      everything under infra/ against schemas and rules, without a cluster"
	@echo "make bench-render     rendering against the plain loop and Pillow, as ratios"
	@echo "make bench-filter     the alt-text filter against bare fastText and the bare loop, as ratios"
	@echo "make bench-pairs      documents and bitext to pairs, against bare splitting and bare fastText"
	@echo "make bench-loader     the trainer's loader against webdataset with Pillow, and against what a model takes"
	@echo "make bench-gpu        what the GPU here trains: CLIPPO's B/16 at 224 px, batch sizes until memory is full"
	@echo "make bench-cluster    rendering on Ray: a second worker, and the driver's memory in the number of shards"
	@echo "make experiments      what the trainer learns with and without text pairs, three seeds each"
	@echo "make boundaries       sentence boundaries recovered in WMT22, beside four libraries"

demo: $(VENV)/.core $(TORCH)
	@$(BIN)/pixelpairs demo --root $(BUILD)/demo $(DEMO)

# PyTorch stays optional: it comes only when asked for.
test: $(VENV)/.dev $(if $(filter command line,$(origin TRAIN)),$(TORCH)) infra-tools-if-possible
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST)

check-infra: $(VENV)/.core $(INFRA_VENV)/.tools
	$(BIN)/python -m infra.check --tools $(INFRA_VENV)/bin

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

bench-loader: $(VENV)/.dev $(VENV)/.torch
	$(BIN)/python -m benchmarks.bench_loader

# ARGS, such as ARGS="--chunk 1024 --batch 10240 --most 10240": CLIPPO's batch on one GPU.
bench-gpu: $(VENV)/.dev $(VENV)/.torch
	$(BIN)/python -m benchmarks.bench_trainer $(if $(ARGS),$(ARGS),--model B/16 --size 224 --batch 128)

# What the trainer learns, three seeds each: some hours on two cores.
experiments: $(VENV)/.core $(VENV)/.torch
	$(BIN)/python -m benchmarks.experiments --root $(BUILD)/experiments

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

# The tools of check-infra have dependencies of their own that would not fit beside ours.
$(INFRA_VENV)/.tools: requirements/infra-tools.lock | $(VENV)/bin/python
	$(PYTHON) -m venv $(INFRA_VENV)
	$(INFRA_VENV)/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements/infra-tools.lock
	@touch $@

# Without them the tests that need them are skipped.
.PHONY: infra-tools-if-possible
infra-tools-if-possible: | $(VENV)/bin/python
	@$(MAKE) --no-print-directory $(INFRA_VENV)/.tools || echo "the tools of check-infra cannot be installed here: its tests are skipped"

# Plain, without hashes: whichever build of this release is at hand, CPU or CUDA, is taken.
$(VENV)/.torch: $(VENV)/.core
	$(BIN)/python -m pip install --quiet torch==2.13.0
	@touch $@

# New lock files; needs uv. No index host goes into them.
LOCK = uv pip compile -q --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header --no-annotate
lock:
	$(LOCK) pyproject.toml --extra build -o requirements/core.lock
	$(LOCK) pyproject.toml --extra build --extra dev --extra similarity --extra web --extra translate --extra words -c requirements/core.lock -o requirements/dev.lock
	$(LOCK) pyproject.toml --extra build --extra similarity --extra web --extra hub --extra s3 --extra gs --extra translate -c requirements/core.lock -o requirements/images.lock
	$(LOCK) pyproject.toml --extra build --extra train -c requirements/images.lock -o requirements/train.lock
	$(LOCK) requirements/infra-tools.in -o requirements/infra-tools.lock

clean:
	rm -rf $(BUILD)
