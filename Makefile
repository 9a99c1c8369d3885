# Everything a person runs. Needs Python 3.11 or newer, make and git; the rest comes from requirements.lock.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
# What the environment is made with, once: the first of these that can make one. A distribution's own is compiled with
# optimizations, which version managers leave out unless told: a third of a loop's time. `make PYTHON=python3.13 up` names another.
PYTHON ?= /usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11
SEED ?= 1
COUNT ?= 10000
# Of tests, side by side; many of them wait for others. 0: one test after the other.
WORKERS ?= 3
TESTS = $(BIN)/pytest --numprocesses $(WORKERS)
# After them, with all cores to themselves.
WORLDS = $(BIN)/python -m sim.world --seed 1 --count 1000

.PHONY: up test fuzz check bench load soak world worlds chaos lock clean

up: $(STAMP) ## Start everything on this machine; Ctrl-C stops it.
	@exec $(BIN)/python -m deploy.local

test: $(STAMP) ## Run the tests, and a thousand worlds.
	$(TESTS)
	$(WORLDS)

fuzz: $(STAMP) ## Look for input that breaks something, long and at random.
	TENDRIL_FUZZ=long $(BIN)/pytest --timeout=3600 tests/fuzz

check: $(STAMP) ## Exactly what CI runs: format, lint, types, import contracts, tests, worlds.
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(TESTS)
	$(WORLDS)

bench: $(STAMP) ## Measure throughput and latency on this machine.
	@$(BIN)/python -m sim.bench

load: $(STAMP) ## Put an open-loop load on the system that runs.
	@$(BIN)/python -m sim.load

soak: $(STAMP) ## Load a system for an hour, run 1,000 containers, see whether anything grows; then 10,000 more worlds.
	@$(BIN)/python -m sim.soak
	@$(BIN)/python -m sim.bench.leaks
	@$(BIN)/python -m sim.world --seed 1001 --count $(COUNT)

world: $(STAMP) ## Run one seed's world: make world SEED=17.
	@$(BIN)/python -m sim.world --seed $(SEED)

worlds: $(STAMP) ## Run many worlds: make worlds SEED=1 COUNT=10000.
	@$(BIN)/python -m sim.world --seed $(SEED) --count $(COUNT)

chaos: $(STAMP) ## Harm a running system for five minutes or more, as root also its lines, and check that nothing is lost or counted twice.
	@$(BIN)/python -m sim.chaos

# Every Python and platform in one file, each package with the hashes of all its files.
lock: $(STAMP) ## Resolve the dependencies of pyproject.toml anew.
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --group dev \
		--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' \
		--output-file requirements.lock pyproject.toml

clean: ## Remove the environment and the caches; the data in .tendril stays.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp comes last, so an environment that was interrupted is made anew.
$(STAMP): requirements.lock pyproject.toml
	@rm -rf $(VENV); \
	found=; able=; \
	for python in $(PYTHON); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		found=$${found:-$$python}; \
		if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then able=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo 'Python 3.11 or newer is missing (looked for $(PYTHON)).' >&2; \
		echo 'On Debian and Ubuntu: apt-get install python3 python3-venv' >&2; exit 1; \
	fi; \
	if [ -z "$$able" ]; then \
		version=$$("$$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		echo "$$found cannot make virtual environments: its module ensurepip is missing." >&2; \
		echo "On Debian and Ubuntu: apt-get install python$$version-venv" >&2; exit 1; \
	fi; \
	echo "making $(VENV) with $$able, once for each requirements.lock"; \
	"$$able" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
