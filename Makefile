# `make demo` and `make test` do all their own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test quick faults fuzz lint clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=23.2" -c constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $(READY)

demo: $(READY)
	$(BIN)/octavo demo --out demo

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# two workers with one thread each: threads that wait for one another cost more than they give
test: export OMP_NUM_THREADS = 1
test: lint
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

quick: export OMP_NUM_THREADS = 1
quick: $(READY)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow"

faults: $(READY)
	OCTAVO_KILLS=20 $(BIN)/python -m pytest -q tests/training/test_kills.py

fuzz: $(READY)
	OCTAVO_MUTANTS=2000 $(BIN)/python -m pytest -q -n 2 tests/formats/test_reader_fuzz.py

clean:
	rm -rf $(VENV) demo
