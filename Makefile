# Everything works from a fresh clone: each target first makes .venv where it is missing.

PYTHON := $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Test processes at a time; each takes one core and up to 2 GB of memory.
WORKERS ?= 2
SEED ?= 0

.PHONY: setup demo test test-tensorflow test-jax test-torch test-arm test-zoo lint
.PHONY: typecheck docs notebooks format wheel

setup: .venv/.installed

# Repeated only when what is to be installed has changed.
.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/python examples/digits.py --seed $(SEED)

test: lint typecheck docs test-tensorflow test-jax

test-tensorflow test-jax: test-%: setup
	KERAS_BACKEND=$* $(BIN)/pytest --quiet --numprocesses $(WORKERS) --dist worksteal

# The core on PyTorch, which has to be in .venv: the processor's build is enough.
test-torch: setup
	KERAS_BACKEND=torch $(BIN)/pytest --quiet tests/live tests/layers tests/test_events.py \
		tests/test_fold.py tests/test_pruning.py tests/test_saving.py tests/test_teachers.py

# On an emulated Raspberry Pi, 110 MB of downloads; skipped where it cannot be had.
test-arm: setup
	$(BIN)/pytest --quiet -rs -m arm tests/arm

# Sixteen architectures of keras.applications, also those that `make test` runs. One at
# a time, in up to 5 GB of memory; takes a quarter of an hour.
test-zoo: setup
	KERAS_BACKEND=tensorflow $(BIN)/pytest --quiet -m "" tests/zoo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: setup
	$(BIN)/mypy

# Into site/; a warning, such as of a broken link, is an error.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The outputs in examples/notebooks, anew: half an hour on two cores, and CIFAR-10.
notebooks: setup
	$(BIN)/python docs/tools/make_notebooks.py

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: setup
	$(BIN)/python -m build --no-isolation --wheel
