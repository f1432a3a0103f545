# Two commands do all: `make try` sets up, fetches the model and completes real code; `make test` runs every check.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help try test lint unit test-editors model bench-quality bench-latency gpu clean

help: ## Say what each target does
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

$(BIN)/crosslight: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Crosslight needs Python 3.11 or later; name one with: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: $(BIN)/crosslight
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

model: $(BIN)/crosslight ## Fetch and convert the default model (once a machine)
	$(BIN)/crosslight model pull

try: model ## Set up, fetch the model, index a real package and complete lines of it
	$(BIN)/python bench/try.py

lint: $(VENV)/.dev ## Style, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/.dev ## Only the tests that need no model
	$(BIN)/pytest tests/unit tests/integration

test-editors: $(VENV)/.dev model ## Only the tests in real editors, which are fetched (SHOW=1 makes the READMEs' pictures anew)
	CROSSLIGHT_README_PICTURES=$(SHOW) $(BIN)/pytest tests/editors

test: lint model ## Set up, run every check and every test
	$(BIN)/pytest

bench-quality: model ## How good completions are, on fixed cases (SET=development for all; PEER=1 for llama.cpp; FAULTS=1 for broken arms)
	@$(BIN)/python bench/quality/run.py --set $(or $(SET),frozen) $(if $(PEER),--peer) $(if $(FAULTS),--faults)

bench-latency: model ## How fast completions are, beside llama.cpp (about ten minutes; QUICK=1 for a trial)
	@$(BIN)/python bench/latency/run.py $(if $(QUICK),--quick)

gpu: $(BIN)/crosslight ## Put the CUDA build of onnxruntime in the CPU build's place
	$(BIN)/python -m pip install --quiet --editable '.[gpu]'
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps onnxruntime-gpu
	$(BIN)/crosslight model pull
	$(BIN)/crosslight doctor

clean: ## Remove what the build made here (models and indexes stay; see `crosslight cache`)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf editors/vscode/node_modules editors/vscode/dist editors/vscode/server
