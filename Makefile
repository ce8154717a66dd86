# Every target works alone, from a clean clone: it sets up $(VENV) first if that is not done yet.
#
#   make demo     search orders of intermediate tasks on the built-in suite, about four minutes
#   make test     run the tests            (PYTEST_ARGS="-m 'not slow'" for the quick ones)
#   make soak     kill a search again and again, and check that nothing was lost
#   make check    lint, format, types, docstrings and import contracts
#   make bench-check   fail if training has become slower beside its peers
#   make help     list every target
#
# Settings: PYTHON=python3.12 names the interpreter, VENV=path the environment,
# TEST_PROCESSES=1 how many processes test, and PIP_ARGS="..." is passed on to pip.

PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
PYTEST_ARGS ?=
TEST_PROCESSES ?= 2
SOAK_ARGS ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
RUN_DIR := runs/demo
BENCH_RATIOS := benchmarks/data/training_ratios.json

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test soak check bench-check lint format-check types contracts format lock clean distclean

help:
	@echo "make demo       search orders of intermediate tasks on the built-in suite"
	@echo "make test       run the tests"
	@echo "make soak       kill a search at random moments, 20 times in a row (SOAK_ARGS=\"--kills 5\")"
	@echo "make check      lint, format, types, docstrings and import contracts"
	@echo "make bench-check  train beside the peers; fail if a ratio is a fifth below the one on record"
	@echo "make format     put the formatting right, and what the linter can mend"
	@echo "make setup      only create $(VENV) with the locked packages"
	@echo "make lock       renew requirements.lock from the ranges in pyproject.toml"
	@echo "make clean      remove caches and build products; make distclean also $(VENV)"

setup: $(STAMP)

# -qq: errors only. The stamp is written last, so an interrupted set-up is done again.
$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "taskorder needs Python 3.11 or newer, and there is no $(PYTHON). Name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("taskorder needs Python 3.11 or newer, and $(PYTHON) is %d.%d.%d. Name another: make PYTHON=python3.12" % v[:3])'
	@echo "==> Setting up $(VENV): $$(grep -c == requirements.lock) locked packages, a few minutes, once"
	@$(PYTHON) -m venv "$(VENV)" || { echo "Python's venv module is incomplete; on Debian and Ubuntu install python3-venv." >&2; exit 1; }
	@start=$$(date +%s); \
	export PIP_DISABLE_PIP_VERSION_CHECK=1; \
	"$(BIN)/python" -m pip install -qq $(PIP_ARGS) -r requirements.lock && \
	"$(BIN)/python" -m pip install -qq --no-deps --no-build-isolation -e . && \
	echo "==> Ready in $$(($$(date +%s) - start)) s"
	@touch "$@"

# The demo always starts afresh; a search that was interrupted is continued with `resume`.
demo: $(STAMP)
	@if [ -e "$(RUN_DIR)" ]; then \
	  echo "==> Replacing the earlier $(RUN_DIR)"; rm -rf "$(RUN_DIR)"; fi
	@echo "==> taskorder launch mini --run-dir $(RUN_DIR)   (about four minutes; Ctrl-C, then $(BIN)/taskorder resume $(RUN_DIR) continues)"
	@"$(BIN)/taskorder" launch mini --run-dir "$(RUN_DIR)"

# A thread a process: libraries that start one for each core get in each other's way. A file's tests
# share what they launch, so a file stays with one process; the longest begin (tests/conftest.py).
test: $(STAMP)
	@echo "==> Tests"
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} "$(BIN)/python" -m pytest -n $(TEST_PROCESSES) \
	  --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

soak: $(STAMP)
	@echo "==> Killing a search at random moments (a quarter of an hour)"
	@PYTHONPATH=. "$(BIN)/python" tests/soak.py $(SOAK_ARGS)

check: lint format-check types contracts
	@echo "==> All checks passed"

# Ratios of one run, not seconds, so that the machine matters little; two minutes on a quiet core.
# Not part of the tests. What is meant to change is put on record by
# the same command with --save in the place of --check.
bench-check: $(STAMP)
	@echo "==> Training beside its peers, against $(BENCH_RATIOS)"
	@OMP_NUM_THREADS=1 "$(BIN)/python" benchmarks/training_throughput.py --size mini --steps 10 \
	  --repeats 3 --peers "bare, longest" HF "HF + DeepSpeed" --evaluate --check $(BENCH_RATIOS)

lint: $(STAMP)
	@echo "==> Lint and docstrings (ruff check)"
	@"$(BIN)/ruff" check

format-check: $(STAMP)
	@echo "==> Format (ruff format --check)"
	@"$(BIN)/ruff" format --check

types: $(STAMP)
	@echo "==> Types (mypy, strict as set in pyproject.toml)"
	@"$(BIN)/mypy"

contracts: $(STAMP)
	@echo "==> Import contracts (lint-imports)"
	@"$(BIN)/lint-imports" --no-logo

format: $(STAMP)
	@"$(BIN)/ruff" check --fix
	@"$(BIN)/ruff" format

# torch's local version (+cpu, +cu128) is dropped: it names one machine's wheel, not the release.
lock:
	@echo "==> Resolving pyproject.toml in a fresh environment (a few minutes)"
	@rm -rf build/lock && $(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install -qq $(PIP_ARGS) '.[dev]' hatchling
	@{ echo "# Exact versions of everything, run-time and development, that the project is tested with."; \
	   echo "# Written by \`make lock\`; pyproject.toml holds the ranges. Install in one pip call, so that torch"; \
	   echo "# stays the version pinned here."; \
	   build/lock/bin/python -m pip freeze --all | grep -v -E '^(pip|taskorder)( @|==)' \
	     | sed -E 's/^(torch==[^+]+)\+.*/\1/' | LC_ALL=C sort -f; } > build/requirements.lock
	@if grep -E ' @ |://' build/requirements.lock; then \
	  echo "These pins are not plain versions." >&2; exit 1; fi
	@mv build/requirements.lock requirements.lock && rm -rf build/lock
	@echo "==> requirements.lock written; run make test before you commit it"

clean:
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -not -path "./$(VENV)/*" -prune -exec rm -rf {} +

distclean: clean
	@rm -rf "$(VENV)"
