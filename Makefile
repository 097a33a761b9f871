# Everything a fresh machine with Python 3.11 needs is done here: `make demo`, `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_DATA ?= data/demo

.PHONY: help demo test simulate chaos interop check bench schemas clean

help: ## Show what there is to do
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is %d.%d. Try: make PYTHON=python3.11" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

demo: $(READY) ## Audit the dependencies installed here, as a workflow, and show the report
	$(BIN)/runline run examples/dependency_audit.yaml --app examples/dependency_audit.py:registry \
		--data $(DEMO_DATA) --set input.report=report/dependency-audit.md
	@echo
	@cat report/dependency-audit.md

check: $(READY) ## Check style, types and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check ## Run every check and every test
	$(BIN)/python -m pytest

chaos: $(READY) ## Kill, stop and cut off processes and real brokers for 20 minutes, and check every promise
	$(BIN)/python -m tests.chaos --seconds 200 --minutes 20

simulate: $(READY) ## Simulate 20,000 seeds of the whole engine on a hostile log; fresh ones each time
	$(BIN)/python -m tests.simulation --seeds 20000 --jobs 2

interop: $(READY) ## Try kcat, Node.js and Java on a log on Kafka; installs them
	@tests/interop/install.sh $(BIN)/python
	$(BIN)/python -m pytest tests/interop/kcat.py tests/interop/follow.py

bench: $(READY) ## Measure speed, memory, recovery and replay, on Kafka too; about half an hour
	$(BIN)/python -m benchmarks

schemas: $(READY) ## Write the schemas anew from the code
	$(BIN)/python -m engine.schemas

clean: ## Remove the virtual environment and what tests and demos left
	rm -rf $(VENV) data report .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
