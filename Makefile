# KLEdit-Lite. `make book` and `make test` are all that most people need; both work in a fresh clone.

PYTHON  ?= python3
PYTEST_ARGS ?=
# Tests of more than ten seconds run in CI (CI=true), and by `make test SLOW=1`.
FAST    := $(if $(CI)$(SLOW),,-m "not slow")
BIN     := .venv/bin
STAMP   := .venv/.kledit-installed
STARTED := .venv/.kledit-started

define check_python
$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
	echo "KLEdit-Lite needs Python 3.10 to 3.13: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
endef
define make_venv
test -x $(BIN)/python || $(PYTHON) -m venv .venv || { \
	rm -rf .venv; \
	echo "$(PYTHON) cannot create a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
endef

# One switch for the chapters, the tests and the CLI: lite (shipped models, CPU), laptop or gpu.
export KLEDIT_PROFILE ?= lite
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help start install book test lint spell types format links clean distclean

help: ## Show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | \
		while IFS="$$(printf '\t')" read -r name words; do printf '  make %-10s %s\n' "$$name" "$$words"; done

start: $(STARTED) ## Install what the first chapter needs, run it, open its page: minutes after a clone
	@$(BIN)/kledit start

$(STARTED): pyproject.toml constraints.txt
	@$(check_python)
	@$(make_venv)
	@echo "Installing the tested versions into .venv; torch is the largest."
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[book]'
	@touch $@

install: $(STAMP) ## Create .venv with the tested versions and the project in it

$(STAMP): pyproject.toml constraints.txt
	@$(check_python)
	@$(make_venv)
	@echo "Installing the tested versions into .venv: several gigabytes, once."
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[book,test,laptop]'
	@touch $@ $(STARTED)

book: $(STAMP) ## Execute the chapters that changed, show each at once, build the site, print the page to open
	@$(BIN)/kledit book

# The chapters, their rehearsals and the site first, because the tests read them; then the tests, even
# if that failed.
test: $(STAMP) ## Execute and rehearse the chapters, build the site, run the tests (SLOW=1: all)
	@status=0; \
	bash tests/site/install_chromium.sh || status=$$?; \
	$(BIN)/kledit book --rehearse || status=$$?; \
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 $(FAST) $(PYTEST_ARGS) || status=$$?; \
	exit $$status

lint: $(STAMP) spell ## Check the style and the spelling of the sources
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .

spell: $(STAMP) ## Check the spelling; words to accept are in pyproject.toml
	@$(BIN)/codespell

types: $(STAMP) ## Check the types of the library
	@$(BIN)/mypy

format: $(STAMP) ## Lay out the sources anew
	@$(BIN)/ruff format .

links: $(STAMP) ## Visit every external link of the texts; needs a network, and is not part of any test
	@$(BIN)/python tests/site/links.py

clean: ## Remove what was built (chapters, site, caches); keep .venv
	rm -rf _build .pytest_cache .ruff_cache .mypy_cache .hypothesis build dist
	find kledit_lite tests benchmarks notebooks book -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Remove what was built and .venv
	rm -rf .venv *.egg-info
