# make help lists the targets. Variables: SPLIT, DATA, LAUNCHER, ARGS, PORT, PIP_ARGS, PYTHON.
SHELL := /bin/bash
.DEFAULT_GOAL := help

SPLIT ?= shapes
DATA ?=
LAUNCHER ?= $(shell command -v scontrol >/dev/null 2>&1 && timeout 5 scontrol ping 2>/dev/null | grep -q ' UP' && echo slurm || echo local)
ARGS ?=
SEED ?= 1
FAULTS ?= 1000
PIP_ARGS ?=
PORT ?= 5000
PYTHON ?= $(shell for p in python3.12 python3.11 python3; do $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && echo $$p && break; done)

BIN := .venv/bin
GTA := $(BIN)/gta
OVERRIDES = sweep=$(SPLIT) hydra/launcher=$(LAUNCHER) $(if $(filter slurm,$(LAUNCHER)),site=slurm) $(if $(DATA),paths.data=$(DATA)) $(ARGS)

.PHONY: help install sweep plan status table mlflow test test-fast test-slurm drill bench lint docs clean

help:  ## this list
	@echo 'make TARGET [SPLIT=shapes] [DATA=folder of data sets] [LAUNCHER=local|slurm] [ARGS="more Hydra overrides"] [PIP_ARGS=...]'
	@echo
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  %-10s %s\n", $$1, $$2}'
	@echo
	@echo "SPLIT is one of: $(notdir $(basename $(wildcard sweeps/*.yaml)))"
	@echo 'No GPU? PIP_ARGS="--index-url <the CPU index of PyTorch>" saves gigabytes.'

install: .venv/.installed  ## make .venv and install the project (the others do it by themselves)

.venv/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or 3.12 with venv is needed (Debian: apt install python3-venv); name it with PYTHON=..." >&2; exit 2; }
	@echo "installing the project into .venv (once; some minutes) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet $(PIP_ARGS) -e .
	@touch $@

.venv/.tests-installed: .venv/.installed
	@echo "installing what the tests need ..."
	@$(BIN)/pip install --quiet $(PIP_ARGS) -e '.[test]'
	@touch $@

sweep: .venv/.installed  ## run what is missing of the table SPLIT, and print it
	@$(GTA) multirun $(OVERRIDES)

plan: .venv/.installed  ## what `make sweep` would do
	@$(GTA) plan $(OVERRIDES)

status: .venv/.installed  ## where every cell of SPLIT stands
	@$(GTA) status $(OVERRIDES)

table: .venv/.installed  ## print the table of SPLIT as it is now
	@$(GTA) table $(OVERRIDES)

mlflow: .venv/.installed  ## MLflow's page and a tracking server for cells, on http://127.0.0.1:PORT (5000)
	@$(BIN)/python -m gta.tracking.serve $(PORT)

test: .venv/.tests-installed lint  ## lint, types, and all tests but those on a real Slurm
	@$(BIN)/python -m pytest -n auto --dist worksteal -m "not slurm"

test-fast: .venv/.tests-installed  ## the tests that take no training and no process of their own: a minute, while you edit
	@$(BIN)/python -m pytest -q -n auto --dist worksteal -m "not slow and not slurm"

test-slurm: .venv/.tests-installed  ## the tests on a real Slurm, which they start and stop (skipped where it is not installed)
	@$(BIN)/python -m pytest -m slurm

bench: .venv/.installed  ## our step of GTA and of every method, data path and scoring against plain ones, large pictures with and without the cache, a save behind the training, each method's step against supervised, cells side by side (ARGS: words of the first)
	@$(BIN)/python benchmarks/against_plain.py $(ARGS) && echo
	@$(BIN)/python benchmarks/against_plain.py method=all && echo
	@$(BIN)/python benchmarks/views.py && echo
	@$(BIN)/python benchmarks/cache.py rounds=3 && echo
	@$(BIN)/python benchmarks/evaluate.py rounds=3 && echo
	@$(BIN)/python benchmarks/checkpoint.py && echo
	@$(BIN)/python benchmarks/step.py && echo
	@$(BIN)/python benchmarks/packing.py

drill: .venv/.tests-installed  ## FAULTS=1000 seeded faults over small grids (SEED=1), each to come right; Ctrl-C, and it goes on
	@$(BIN)/python -m tests.faults --seed $(SEED) --faults $(FAULTS) $(ARGS)

lint: .venv/.tests-installed  ## ruff, mypy, and who may import whom
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache

docs: .venv/.installed  ## write the generated pages of docs/reference anew
	@$(BIN)/python docs/generate.py

clean:  ## remove .venv and caches; data, runs and results stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
