# `make demo` and `make test` do all their own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test quick faults fuzz lint tools clean

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

# programs that some tests ask and pip does not bring; a test that misses one says so and is skipped
tools:
	@command -v dciodvfy >/dev/null || { \
	  test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get -qq update >/dev/null 2>&1 \
	    && apt-get -qq install -y --no-install-recommends dicom3tools >/dev/null 2>&1; } \
	  || echo "dicom3tools is not installed and may not be: written DICOM files are not checked by dciodvfy"

# two workers with one thread each: threads that wait for one another cost more than they give
test: export OMP_NUM_THREADS = 1
test: lint tools
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

quick: export OMP_NUM_THREADS = 1
quick: $(READY)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow"

faults: $(READY)
	OCTAVO_KILLS=20 $(BIN)/python -m pytest -q tests/training/test_kills.py

# the table of docs/fuzzing.md; fails if a single mutant gives anything but a sentence or a plausible volume
fuzz: export OMP_NUM_THREADS = 1
fuzz: $(READY)
	$(BIN)/python benchmarks/fuzz.py --mutants 2000 --seconds 1500
	$(BIN)/python -m pytest -q tests/formats/test_bombs.py

# the same mutants without samples and companions, as `make test` attacks with fewer of them
fuzz-tests: export OMP_NUM_THREADS = 1
fuzz-tests: $(READY)
	OCTAVO_MUTANTS=2000 $(BIN)/python -m pytest -q -n 2 tests/formats/test_reader_fuzz.py

clean:
	rm -rf $(VENV) demo
