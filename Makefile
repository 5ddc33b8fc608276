# The workbench's commands; `make` alone lists them.
#
# `make demo` and `make test` set up what they need. Later calls reuse it.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
# The stamp is newer than these files when the environment holds what they ask for.
STAMP := $(VENV)/.installed

SERVE ?= 1
JOBS ?= 2
ARGS ?=

# The first of these that is Python 3.11, 3.12 or 3.13; PYTHON=... chooses another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo "$$p" && break; \
	done)

# Two workers with one thread each: torch with two threads in each of two workers would fight over two cores.
# Bytecode is written even where the environment forbids it: tests start hundreds of processes.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

.PHONY: help setup demo test test-slow lint format course docs screenshots benchmarks gpu-check dashboard lab clean

help:  ## List these commands
	@echo "make COMMAND, where COMMAND is one of:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
		printf '  %-12s %s\n' "$$name" "$$text"; done

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { \
		echo "No Python 3.11, 3.12 or 3.13 was found. Install one, or name it: make setup PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "Making $(VENV) with $(PYTHON)"; "$(PYTHON)" -m venv $(VENV); }
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[all,dev,docs]'
	@touch $@

setup: $(STAMP)  ## Make .venv with pinned versions, and download what the attention views need
	@$(BIN)/workbench data fetch d3 jquery || \
		echo "Warning: d3 and jQuery could not be downloaded. Only attention views need them; run 'make setup' again." >&2

demo: setup  ## Fine-tune MiniLM on film reviews twice, compare, and open the dashboard (SERVE=0: end before that)
	$(BIN)/workbench demo $(if $(filter 0 no false,$(SERVE)),--no-serve,--serve)

test: lint  ## Run the linters and all tests except slow ones (under 15 minutes on 2 cores)
	$(PYTEST) -m "not slow" $(ARGS)

test-slow: $(STAMP)  ## Run the slow tests: whole matrices, hundreds of kill points, long journeys
	$(PYTEST) -m slow $(ARGS)

lint: $(STAMP)  ## Check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)  ## Format all code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

course: $(STAMP)  ## Build the course's notebooks from their sources (notebooks/*.py, tutorials/src/*.py)
	$(BIN)/python -m workbench.teach.course

docs: $(STAMP)  ## Build the documentation site into build/site, strictly and without network
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "Open build/site/index.html; or, with the search: $(BIN)/python -m http.server -b 127.0.0.1 -d build/site"

screenshots: $(STAMP)  ## Redraw the README's pictures in docs/images (needs Chromium)
	$(BIN)/python -m dashboard.screenshots

benchmarks: $(STAMP)  ## Measure against peers, as ratios within one run (long; needs an idle machine)
	for script in tests/benchmarks/[a-z]*.py; do $(BIN)/python "$$script" $(ARGS); done

gpu-check: $(STAMP)  ## Check a machine with a GPU in under 8 minutes; writes build/gpu-check.md and .json
	$(BIN)/python -m tests.gpu.check $(ARGS)

dashboard: setup  ## Serve the dashboard on this machine
	$(BIN)/workbench dashboard $(ARGS)

lab: setup  ## Open the notebooks and tutorials in JupyterLab
	$(BIN)/workbench lab $(ARGS)

clean:  ## Remove caches and build outputs; runs and downloads in the workspace stay, and so does .venv
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find workbench dashboard tests -name __pycache__ -type d -prune -exec rm -rf {} +
