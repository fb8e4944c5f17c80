# `make` alone says what there is. PYTHON=python3.12 names another Python.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test check bench venv wheel clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Errors only: pip reports every place that it looks at in vain as a warning.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check -c constraints.txt
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
FLOORS := daemon engine bridges models

help: ## say what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: venv ## hear and see Segue trade bars with a recorded player; no MIDI needed
	@$(BIN)/segue demo

test: venv ## run every test, those through real ports and processes too
	@tests/debian_packages.sh
	@$(BIN)/python -m pytest

check: venv ## lint, format, types, imports, and the quick tests of the live side
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check .; exit 1; }
	@$(BIN)/mypy --strict $(FLOORS)
	@$(BIN)/lint-imports --no-cache > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }
	@$(BIN)/python -m pytest tests/test_house.py tests/daemon

bench: venv ## measure segue run through JACK: how late, how fast, how large (six minutes)
	@$(BIN)/python tests/benchmarks/live_jack.py

venv: $(VENV)/made ## make the environment in .venv, once

$(VENV)/made: pyproject.toml constraints.txt $(wildcard engine/kernel/*)
	@$(PYTHON) -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Segue needs Python 3.11 or newer, with venv (Debian: apt install python3-venv)." \
	    "Name another one with: make PYTHON=python3.12" >&2; exit 1; }
	@echo "making the environment in $(VENV); this takes a minute or two" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) setuptools torch || { \
	  echo "no CPU build of torch there; trying $(TORCH_CPU_INDEX)" >&2; \
	  $(PIP_INSTALL) --extra-index-url $(TORCH_CPU_INDEX) setuptools torch; }
	@$(PIP_INSTALL) --no-build-isolation -e '.[dev]'
	@touch $@

wheel: venv ## build the wheel into dist/
	@rm -rf build
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist . > $(VENV)/build.log 2>&1 \
	  || { cat $(VENV)/build.log; exit 1; }
	@ls dist/*.whl

clean: ## remove the environment and all that was built
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find $(FLOORS) tests -name __pycache__ -prune -exec rm -rf {} +
