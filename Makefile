# Two commands are all that a new user needs: `make study` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
OUT    ?= runs/study
JOBS   ?= 2
BIN     = $(VENV)/bin

.PHONY: study test check format clean help

help:  ## List the commands.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

study: $(VENV)/.installed  ## Run the comparison of the seven models on the embedded simulated panel.
	$(BIN)/skdrfm study --jobs $(JOBS) --out $(OUT)

test: $(VENV)/.installed-test  ## Run all tests.
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

check: $(VENV)/.installed-dev  ## Lint, format, types, import rules, spelling.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m numpydoc.hooks.validate_docstrings $$(git ls-files 'skdrfm/*.py')
	$(BIN)/codespell skdrfm tests examples benchmarks docs README.md CHANGELOG.md CONTRIBUTING.md

format: $(VENV)/.installed-dev  ## Format the code and mend what the linter can.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove the environment, runs and caches.
	rm -rf $(VENV) runs dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "skdrfm needs Python 3.11 or newer; $(PYTHON) is older. Use: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q -e .
	touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q -e ".[test]"
	touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q -e ".[dev]"
	touch $@ $(VENV)/.installed-test $(VENV)/.installed
