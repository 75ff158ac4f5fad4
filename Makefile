# One verb for everything that is done with a checkout; the same in CI. `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
CHECKED := clipengine tests scripts
LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --no-strip-extras --python-version 3.11 --generate-hashes --custom-compile-command "make lock"

# Only what is written on make's own command line: a shell may well have a variable of this name.
given = $(if $(filter command line,$(origin $(1))),--$(2) '$(subst ','\'',$($(1)))')

.DEFAULT_GOAL := help
.PHONY: help install run demo test check lock films screens compare bench fuzz soak clean

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed  ## make .venv with clipengine in it
	@echo "installed: $(BIN)/clipengine"

run: $(VENV)/.installed  ## serve from here; data in ./clipengine-data (ARGS="--port 9000" adds options)
	@exec $(BIN)/clipengine serve --first-key $(ARGS)

demo: $(VENV)/.installed  ## the whole way of one clip (RECORDING=/path/to/any.mp4 START=12 END=20 takes your own)
	@exec $(BIN)/python scripts/demo.py $(call given,RECORDING,recording) $(call given,START,start) $(call given,END,end)

test: $(VENV)/.test-installed check  ## check, then run every test (PYTEST="-k cut" chooses)
	@exec $(BIN)/python -m pytest -n auto $(PYTEST)

check: $(VENV)/.test-installed  ## lint, format, spelling, types and the layers of imports
	@$(BIN)/ruff check --quiet $(CHECKED)
	@$(BIN)/ruff format --check --quiet $(CHECKED)
	@$(BIN)/codespell $(CHECKED) config clipengine.toml README.md CHANGELOG.md .github
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo >$(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }

lock: $(VENV)/.installed  ## pin all dependencies again, with hashes, at the newest versions that setup.cfg allows
	@$(PIP) install uv
	@$(LOCK) --extra postgres --output-file requirements.lock setup.cfg
	@$(LOCK) --extra test --constraint requirements.lock --output-file requirements-test.lock setup.cfg

films: $(VENV)/.test-installed  ## cut every film in every way, write the table film by cut to FILMS.md
	@$(BIN)/python -m tests.films.table FILMS.md

screens: $(VENV)/.test-installed  ## pictures of the page for the documents (MEDIA=folder of recordings)
	@$(BIN)/python -m scripts.screens $(MEDIA)

compare: $(VENV)/.test-installed  ## the same table for the ffmpeg command, where it is installed
	@$(BIN)/python -m scripts.compare COMPARED.md

bench: $(VENV)/.test-installed  ## what a clip costs, beside the ffmpeg command; table, and BENCH.json (ARGS="--quick --section cutting")
	@$(BIN)/python -m scripts.bench $(ARGS)

fuzz: $(VENV)/.test-installed  ## mutated recordings through the locked encoder (INPUTS=20000 SEED=2); goes on where it was
	@$(BIN)/python -m scripts.fuzz $(call given,INPUTS,inputs) $(call given,SEED,seed)

soak: $(VENV)/.test-installed  ## load, kill -9 and a failing store for a long time; nothing may be lost (ARGS="--minutes 30")
	@$(BIN)/python -m scripts.soak $(ARGS)

clean:  ## remove what make made; never data
	rm -rf .bench .fuzz .venv .venv-* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# Installed from the lock files, so that a checkout gets the versions that CI tested. Made anew when they change.
$(VENV)/.installed: setup.cfg pyproject.toml requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "missing: $(PYTHON). On Debian: apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) scripts/preflight.py
	@echo "installing into $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --editable .
	@touch $@

$(VENV)/.test-installed: $(VENV)/.installed requirements-test.lock
	@echo "installing the test dependencies"
	@$(PIP) install --require-hashes --requirement requirements-test.lock
	@touch $@
