# Everything works from a fresh clone: each target first makes .venv where it is missing.

PYTHON := $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Test processes at a time; each takes one core and up to 2 GB of memory.
WORKERS ?= 2
SEED ?= 0

.PHONY: setup demo test test-tensorflow test-jax lint typecheck format wheel

setup: .venv/.installed

# Repeated only when what is to be installed has changed.
.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/python examples/digits.py --seed $(SEED)

test: lint typecheck test-tensorflow test-jax

test-tensorflow test-jax: test-%: setup
	KERAS_BACKEND=$* $(BIN)/pytest --quiet --numprocesses $(WORKERS) --dist worksteal

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: setup
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: setup
	$(BIN)/python -m build --no-isolation --wheel
