# Everything a fresh machine needs is Python 3.10 or later, a C compiler and a network for the first `make`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH := $(VENV)/.bench

# The first of these that starts, is new enough and can make a virtual environment. PYTHON=... overrides.
FITS = import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3 python3.10,\
	$(shell $(p) -c '$(FITS)' >/dev/null 2>&1 && echo $(p))))

.PHONY: help
help:  ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.10 or later, with venv, is needed; none was found on PATH."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(READY): pyproject.toml constraints.txt tests/frameworks.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,frameworks]'
	$(BIN)/python -m pip install --quiet --no-deps --requirement tests/frameworks.txt
	@touch $@

$(BENCH): $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	@touch $@

.PHONY: demo
demo: $(READY)  ## compile the digits network to C and run it on the held-out digits
	$(BIN)/python examples/digits/demo.py

.PHONY: lint
lint: $(READY)  ## style, sizes, and the direction of imports
	$(BIN)/ruff check
	$(BIN)/python .ci/structure.py

.PHONY: types
types: $(READY)  ## mypy, strictly
	$(BIN)/mypy

.PHONY: test
test: lint types  ## lint, types, the whole suite, and quick runs of the wheel under the oldest and the newest Python
	$(BIN)/python -m pytest -n auto
	.ci/oldest
	.ci/newest

.PHONY: docs
docs: $(READY)  ## regenerate the pages that are made from the code
	$(BIN)/python docs/generate.py

.PHONY: site
site: $(READY)  ## the documentation as a site, in build/site; a link that leads nowhere is an error
	$(BIN)/python -m sphinx -b html -W --keep-going -q docs build/site

.PHONY: bench
bench: $(BENCH)  ## speed of compiling, and of the emitted C against other runtimes
	$(BIN)/python benchmarks/compile.py
	$(BIN)/python benchmarks/mapping.py
	$(BIN)/python benchmarks/inference.py

.PHONY: mutants
mutants: $(READY)  ## make small faults in the package one at a time, and list those that no test sees (hours)
	$(BIN)/python -m tests.mutants $(MUTANTS)
