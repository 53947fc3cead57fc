# Two commands are all that a new user needs: `make study` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
OUT    ?= runs/study
JOBS   ?= 2
BIN     = $(VENV)/bin

.PHONY: study test check docs dist test-lowest format clean help

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

docs: $(VENV)/.installed-docs  ## Build the documentation, gallery included, without the network; warnings are errors.
	rm -rf docs/_build docs/auto_examples docs/api/generated
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

dist: $(VENV)/.installed-dev  ## Build wheel and source, check them, and run the wheel in an empty environment.
	rm -rf dist
	$(BIN)/python -m build -q
	$(BIN)/python -m twine check --strict dist/*
	$(PYTHON) -m venv --clear build/wheel
	build/wheel/bin/python -m pip install -q dist/*.whl
	cd build && wheel/bin/skdrfm study --models Linear --out wheel/study --quiet
	test -s build/wheel/study/index.html

test-lowest:  ## Run all tests with the lowest versions of the dependencies that pyproject.toml allows.
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install -q uv
	$(VENV)-lowest/bin/uv pip install -q --python $(VENV)-lowest/bin/python --resolution lowest-direct -e ".[test]"
	$(VENV)-lowest/bin/python -m pytest -n $(JOBS) --dist worksteal -W default

format: $(VENV)/.installed-dev  ## Format the code and mend what the linter can.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove the environment, runs and caches.
	rm -rf $(VENV) $(VENV)-lowest runs dist build docs/_build docs/auto_examples docs/api/generated .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

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

$(VENV)/.installed-docs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q -e ".[docs]"
	touch $@ $(VENV)/.installed
