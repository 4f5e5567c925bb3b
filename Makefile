# One door: `make` alone lists the targets.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test long venues fuzz crash check format lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "fillonce needs Python 3.11 or later: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned packages into $(VENV) (a minute or two, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

install: $(STAMP) ## Set up .venv with the pinned packages, nothing else

demo: install ## Run the whole pipeline against the simulated venue and audit it
	@$(BIN)/fillonce demo $(ARGS)

test: install ## Run the tests
	@$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

crash: install ## Kill roles and server, and promote a replica, at every crash point (half an hour)
	@$(BIN)/python -m tests.crash $(ARGS)

long: install ## Run the tests that take minutes: every pair of breaks, the demo with the examples, new examples of every property
	@$(BIN)/python -m pytest -n 2 -m long $(ARGS)
	@$(BIN)/python -m pytest -n 2 -m hypothesis --hypothesis-profile explore --timeout 900 $(ARGS)

venues: install ## Run the conformance suite, and print what each venue does by each way of sending orders
	@$(BIN)/python -m pytest -q --no-header -p tests.adapters.matrix tests/adapters/test_conformance.py $(ARGS)

fuzz: install ## Feed 200,000 mutants of each venue's payloads to every reader (a few minutes)
	@$(BIN)/python -m tests.fuzz $(ARGS)

check: install ## Lint, types and import direction
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: install ## Let ruff rewrite what it can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: ## Pin every package again (needs uv on the PATH)
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --python-version 3.11 \
	  --group test --group check --group build pyproject.toml -o requirements.lock

clean: ## Remove the environment, caches and demo data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .fillonce dist build
