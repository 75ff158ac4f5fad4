# Commands for a checkout, also used by CI. `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
CHECKED := clipengine tests scripts
# More processes than cores, because many tests wait; each takes neighbouring tests, which share servers and films.
# The tests start hundreds of commands, which would compile the package each time without its bytecode.
# pytest takes the value of a plugin's option for a path to test until the plugin is loaded, and looks for settings there.
TESTS = env PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -c setup.cfg -n $$(($$(nproc 2>/dev/null || echo 2) + 2)) --dist worksteal
# CPU seconds that a build has for exhaustive and outage tests, as tests/proof counts them.
BUDGET := 1500
PROOF = -p tests.support.groups -p tests.support.failed_once
RECORDED = $(PROOF) --record-groups --failed-once=tests/proof/failed_once.txt
BUDGETED = $(PROOF) --groups-budget $(BUDGET)
# All films and real recordings.
VERSIONS = -m exhaustive $(patsubst %,tests/media/test_%.py,\
	audio_timestamps changing_sizes damage defects exact formats recordings smart_render)
JS_CHECKED := biome.json tsconfig.json clipengine/web clipengine/docs/manual.js scripts/typescript tests/typescript tests/web
NPM_MODULES := scripts/typescript/node_modules/.package-lock.json
NPM_PACKAGES := clipengine-client n8n-nodes-clipengine
NODE_18 := command -v node >/dev/null && command -v npm >/dev/null && node -e 'process.exit(+(parseInt(process.versions.node) < 18))'
HAS_NODE := $(NODE_18) || { echo "missing: Node 18 or newer, with npm. On Debian: apt install nodejs npm" >&2; exit 1; }
BIOME := { scripts/typescript/node_modules/.bin/biome check --error-on-warnings $(JS_CHECKED) >$(VENV)/biome.log 2>&1 || { cat $(VENV)/biome.log; false; }; }
NODE_TEST := { node --test tests/web/*.test.js >$(VENV)/node.log 2>&1 || { cat $(VENV)/node.log; false; }; }
API_TYPES := scripts/typescript/generated/api.d.ts
LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --no-strip-extras --python-version 3.11 --generate-hashes --custom-compile-command "make lock"

# Only variables of make's command line: the environment may contain others of the same name.
given = $(if $(filter command line,$(origin $(1))),--$(2) '$(subst ','\'',$($(1)))')

.DEFAULT_GOAL := help
.PHONY: help install run dev demo test test-all test-build test-versions check check-python check-js client-ts dist lock new-migration coverage films obs producers speech screens compare bench fuzz soak chaos clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed  ## install clipengine into .venv (EXTRAS="transcribe otel" adds their packages)
	@$(if $(call given,EXTRAS,extras),$(BIN)/python -m scripts.install $(call given,EXTRAS,extras))
	@echo "installed: $(BIN)/clipengine"

run: $(VENV)/.installed  ## start a server with its data in ./clipengine-data (ARGS="--port 9000" adds options)
	@exec $(BIN)/clipengine serve --first-key $(ARGS)

dev: $(VENV)/.installed  ## serve from the checkout with a film to cut; starts again after each change (ARGS="--port 9000")
	@exec $(BIN)/python -m scripts.dev $(ARGS)

demo: $(VENV)/.installed  ## run the main job end to end (RECORDING=/path/to/any.mp4 START=12 END=20 cuts your own)
	@exec $(BIN)/python -m scripts.demo $(call given,RECORDING,recording) $(call given,START,start) $(call given,END,end)

test: $(VENV)/.test-installed check  ## check, then test one of each mechanism (PYTEST="-k cut" selects some)
	@exec $(TESTS) -m "not exhaustive and not outage" $(PYTEST)

test-all: $(VENV)/.test-installed check  ## check, then run every test; a release needs it. Writes tests/proof, for CI
	@exec $(TESTS) $(RECORDED) $(PYTEST)

test-build: $(VENV)/.test-installed check  ## check, then run what CI does: make test's tests, changed groups and a share of the rest
	@exec $(TESTS) $(BUDGETED) $(PYTEST)

test-versions: $(VENV)/.test-installed check  ## check, then test what depends on Python and PyAV (PYTHON=python3.13 VENV=.venv-3.13)
	@exec $(TESTS) $(if $(filter command line,$(origin BUDGET)),$(BUDGETED),$(RECORDED)) $(VERSIONS) $(PYTEST)

check: $(VENV)/.test-installed  ## check lint, format, spelling, types and import layers
	@$(MAKE) --silent --jobs 2 --output-sync check-python check-js

check-python: $(VENV)/.test-installed  ## check the Python; a part of check
	@$(BIN)/ruff check --quiet $(CHECKED)
	@$(BIN)/ruff format --check --quiet $(CHECKED)
	@$(BIN)/codespell $(CHECKED) config clipengine.toml README.md CHANGELOG.md .github
	@$(BIN)/python scripts/check_language.py clipengine
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo >$(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }

check-js: $(VENV)/.installed  ## check format, lint and types of the JavaScript; a part of check
	@if ! { $(NODE_18); }; then echo "skipped: checks of the JavaScript, which need Node 18 or newer, with npm"; \
	elif $(if $(filter true,$(CI)),,npm_config_fetch_retries=1 npm_config_fetch_retry_mintimeout=1000) \
		$(MAKE) --silent $(NPM_MODULES) >$(VENV)/npm.log 2>&1; then \
		$(MAKE) --silent $(API_TYPES) && $(BIOME) && scripts/typescript/node_modules/.bin/tsc --project . && $(NODE_TEST); \
	elif $(if $(filter true,$(CI)),true,false); then cat $(VENV)/npm.log >&2; exit 1; \
	else echo "skipped: checks of the JavaScript, because npm ci failed; see $(VENV)/npm.log"; fi

client-ts: $(VENV)/.installed $(NPM_MODULES)  ## build the npm packages, a TypeScript client and nodes for n8n, into dist/
	@$(HAS_NODE)
	@mkdir -p dist
	@$(BIN)/python -m scripts.openapi dist/openapi.json
	@node scripts/typescript/build.mjs dist/openapi.json dist
	@cd dist && npm pack --silent --offline $(addprefix ./,$(NPM_PACKAGES)) | sed 's,^,built: dist/,'

dist: $(VENV)/.test-installed client-ts  ## build and check what a release publishes: wheel, sdist and npm packages
	@$(BIN)/python -m scripts.dist dist
	@cd dist && for package in $(NPM_PACKAGES); do \
		npm publish --dry-run --silent --offline "./$$package-$$(../$(BIN)/clipengine --version | cut -d ' ' -f 2).tgz" || exit 1; done

lock: $(VENV)/.installed  ## update the hashed lock files to the newest versions that setup.cfg allows
	@$(PIP) install uv
	@echo uv | $(LOCK) --output-file scripts/requirements-uv.lock -
	@$(LOCK) --extra mcp --extra postgres --output-file requirements.lock setup.cfg
	@$(LOCK) --extra test --constraint requirements.lock --output-file requirements-test.lock setup.cfg
	@for extra in oidc otel transcribe; do \
		$(LOCK) --extra $$extra --constraint requirements-test.lock --output-file requirements-$$extra.lock setup.cfg || exit 1; done

new-migration:  ## add a migration of the ledger (NAME="Add the camera of a recording")
	@$(PYTHON) -m scripts.new_migration $(if $(filter command line,$(origin NAME)),'$(subst ','\'',$(NAME))')

coverage: $(VENV)/.test-installed  ## run make test's tests and list the lines that none of them runs (PYTEST="tests/clips")
	@exec $(TESTS) -m "not exhaustive and not outage" --cov clipengine --cov-report term-missing:skip-covered $(PYTEST)

films: $(VENV)/.test-installed  ## cut every test film at every cut and write the results to FILMS.md
	@$(BIN)/python -m tests.films.table FILMS.md

obs: $(VENV)/.test-installed  ## test recordings of OBS Studio under Xvfb (Debian: obs-studio, xvfb)
	@CLIPENGINE_TEST_OBS=1 $(BIN)/python -m pytest -q tests/e2e/test_obs.py

producers: $(VENV)/.test-installed  ## record with the installed programs of others and write the table of the manual
	@$(BIN)/python -m scripts.producers

speech: $(VENV)/.test-installed  ## measure a model on real speech and write the table of the manual (MODEL=folder SOUNDS=folder)
	@$(BIN)/python -m scripts.speech $(call given,MODEL,model) $(call given,SOUNDS,sounds)

screens: $(VENV)/.test-installed  ## take the screenshots of the documents (MEDIA=folder of recordings); EVERY=folder takes every view instead
	@$(BIN)/python -m scripts.screens $(MEDIA) $(call given,EVERY,every)

compare: $(VENV)/.test-installed  ## the same table for the installed ffmpeg command
	@$(BIN)/python -m scripts.compare COMPARED.md

bench: $(VENV)/.test-installed  ## compare the cost of a clip with the ffmpeg command: table and BENCH.json (ARGS="--quick --section cutting")
	@$(BIN)/python -m scripts.bench $(ARGS)

fuzz: $(VENV)/.test-installed  ## cut mutated recordings in the sandbox (INPUTS=20000 SEED=2; continues an interrupted run), send requests to every route (REQUESTS=20000), or parse playlists (PLAYLISTS=20000) and all other documents (DOCUMENTS=20000 KIND=csv)
	@$(BIN)/python -m scripts.fuzz $(call given,INPUTS,inputs) $(call given,SEED,seed) $(call given,REQUESTS,requests) $(call given,PLAYLISTS,playlists) $(call given,DOCUMENTS,documents) $(call given,KIND,kind)

soak: $(VENV)/.test-installed  ## load, kill -9 and failing stores for a long time; nothing may be lost (ARGS="--minutes 30")
	@$(BIN)/python -m scripts.soak $(ARGS)

chaos: $(VENV)/.test-installed  ## upgrade a failing fleet of the release before under load; nothing may be lost or wrong (ARGS="--minutes 5")
	@$(BIN)/python -m scripts.soak --fleet 300 --upgrade-from 0.2.0 $(ARGS)

clean:  ## delete everything that make created, but no data
	rm -rf .bench .fuzz .venv .venv-* build dist scripts/typescript/generated scripts/typescript/node_modules *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# Installed from the lock files, so that a checkout gets the versions that CI tested. Recreated if they change, and not
# for other changes of setup.cfg, such as its contracts of imports: the package is installed as a link to the checkout.
$(VENV)/.installed: requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "missing: $(PYTHON). On Debian: apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) scripts/preflight.py
	@echo "installing into $(VENV)"
	@extras=$$(cat $(VENV)/.extras 2>/dev/null); $(PYTHON) -m venv --clear --without-pip $(VENV) && \
		$(BIN)/python -m scripts.install --editable --extras "$$extras" requirements.lock
	@touch $@

$(VENV)/.test-installed: $(VENV)/.installed requirements-test.lock
	@echo "installing the test dependencies"
	@$(BIN)/python -m scripts.install --no-compile requirements-test.lock
	@touch $@

$(NPM_MODULES): scripts/typescript/package-lock.json
	@$(HAS_NODE)
	@npm ci --prefix scripts/typescript --ignore-scripts --no-audit --no-fund --loglevel error >/dev/null
	@touch $@

# Types of the API for the page, which are made again after a change of any module that may change the document.
$(API_TYPES): $(VENV)/.installed $(NPM_MODULES) scripts/openapi.py $(shell find clipengine -name '*.py')
	@mkdir -p $(@D)
	@$(BIN)/python -m scripts.openapi $(@D)/openapi.json
	@scripts/typescript/node_modules/.bin/openapi-typescript $(@D)/openapi.json --output $@ >/dev/null
