# Llavero: `make help` explains each command.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LIBRARY ?= demo-library
# The kit of the demo: small, or pocket where 1.2 GB to download and 3 GB of memory are too much.
KIT ?= small
PORT ?= 8501
# Processes that share the tests: one more than there are cores, for tests that wait; at most four, and 4 GB each.
JOBS ?= $(shell n=$$(($$(nproc 2>/dev/null || echo 2) + 1)); [ $$n -gt 4 ] && n=4; \
 m=$$(awk '/MemTotal/ {print int($$2 / 4e6)}' /proc/meminfo 2>/dev/null || echo 2); [ $$n -gt $$m ] && n=$$m; [ $$n -lt 1 ] && n=1; echo $$n)

# Two threads that spin while they wait for each other make small models several times slower.
export OMP_WAIT_POLICY ?= PASSIVE
export TOKENIZERS_PARALLELISM ?= false
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUTF8 := 1

.DEFAULT_GOAL := help
.PHONY: help setup kit demo test check hostile contract e2e bench lock clean client docs

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv from the lock, with everything the other commands need

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 13) else f"Llavero needs Python 3.11 or 3.12; {sys.executable} is {v[0]}.{v[1]}. Name another one: make setup PYTHON=python3.12")'
	@echo "Making $(VENV) from requirements.lock (about 3 minutes after the download of 3 GB)" >&2
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || $(PYTHON) -m venv --without-pip $(VENV)
	@if [ -x $(BIN)/pip ]; then pip="$(BIN)/python -m pip"; \
	 elif $(PYTHON) -m pip --version >/dev/null 2>&1; then pip="$(PYTHON) -m pip --python $(BIN)/python"; \
	 else echo "This Python has neither ensurepip nor pip. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; fi; \
	 $$pip install --quiet --require-hashes -r requirements.lock 2>.venv/install.log || { cat .venv/install.log >&2; exit 1; }; \
	 $$pip install --quiet --no-deps --no-build-isolation --no-index -e . 2>>.venv/install.log || { cat .venv/install.log >&2; exit 1; }
	@touch $(STAMP)

kit: setup ## Install the pocket kit (weights, 200 MB, once; kept in the user's cache)
	@$(BIN)/llavero kit install pocket

demo: setup ## Index the sample collection and open the page on http://127.0.0.1:8501 (KIT=pocket for a tiny machine)
	@$(BIN)/llavero kit install $(KIT)
	@$(BIN)/llavero index examples/sample/collection --library $(LIBRARY) --kit $(KIT)
	@$(BIN)/llavero ui --library $(LIBRARY) --port $(PORT)

test: kit ## Run the tests (add ARGS="-m slow" for the long ones)
	@HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal --durations 10 $(ARGS)

check: setup ## Format, lint, types, who imports what, names and sizes, and that the documented --help is current
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -q tests/house
	@$(BIN)/python docs/make_cli_reference.py --check

hostile: kit ## Attack it with hostile files, requests, a full disk and kills (ARGS="--only mail --keep FOLDER")
	@HF_HUB_OFFLINE=1 $(BIN)/python tests/hostile/run.py $(ARGS)

contract: kit ## The Milvus contract on a server: make contract MILVUS=http://localhost:19530 (TOKEN=root:…)
	@HF_HUB_OFFLINE=1 LLAVERO_TEST_MILVUS_URI=$(MILVUS) LLAVERO_TEST_MILVUS_TOKEN=$(TOKEN) \
	 $(BIN)/python -m pytest -m milvus -k server -rs tests/indexing/store/test_contract.py tests/contract $(ARGS)

client: setup ## Write a typed Python client of the interface over HTTP into client/
	@$(BIN)/python docs/make_client.py client/llavero_client

docs: setup ## Write docs/CLI.md from the commands' own --help, then build the site (site/index.html), offline
	@$(BIN)/python docs/make_cli_reference.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

e2e: kit ## Drive the page in a real browser (Chromium; installed with apt where that is allowed)
	@command -v chromium >/dev/null 2>&1 || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
	 { echo "Chromium is missing and cannot be installed here: apt install chromium" >&2; exit 1; }
	@HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m e2e $(ARGS)

bench: kit ## Run the benchmarks; numbers go to stdout, docs/LOG.md keeps the ones that decided something
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

lock: setup ## Resolve pyproject.toml again into requirements.lock (needs the network)
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal -p 3.11 --generate-hashes --no-annotate --no-header --upgrade -q -o requirements.lock

clean: ## Remove everything that make can make again (not your libraries, not the kit's cache)
	rm -rf $(VENV) site client .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
