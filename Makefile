# `make` alone lists the targets. Each sets up what it needs: Python 3.10 or newer, make and a package index are enough.
PYTHON ?= python3
VENV ?= .venv
VERSIONS ?= 3.10 3.11 3.12 3.13 3.14 3.15
ARGS ?=
WORKERS ?= auto

BIN := $(VENV)/bin
READY := $(VENV)/.installed
# Tests run side by side, as many as there are cores; ARGS=-n0 runs them in one process, as a debugger wants it.
PYTEST := -m pytest -n $(WORKERS) --dist loadscope

export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1 # do not look for a newer pyright over the network
# Images of containers set it. The tests start thousands of interpreters, and each would compile us again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-oldest test-python test-sanitized $(VERSIONS:%=test-%) versions bench conformance drain workers monitoring monitoring-test dashboards alert-table manifests settings families names coverage check fmt layout fuzz build clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## start the four example services, show what they tell, serve until Ctrl-C (ARGS=--once: end by itself; ARGS="--scenario list")
	@$(BIN)/python -m example_apps.demo $(ARGS)

test: $(READY) ## run the tests (ARGS="-k flask -x" goes to pytest)
	@$(BIN)/python $(PYTEST) $(ARGS)

test-all: $(VERSIONS:%=test-%) ## run the tests on every Python found, 3.10 to 3.15, with more examples (one of them: make test-3.12)
test-all: export HYPOTHESIS_PROFILE = all

$(VERSIONS:%=test-%): test-%:
	@if python=$$(scripts/find-python $*); then \
	    scripts/make-venv "$$python" .venv-$* && echo "Python $*:" && .venv-$*/bin/python $(PYTEST) $(ARGS); \
	else \
	    echo "Python $*: none found that runs, left out"; \
	fi

test-python: $(READY) ## run the tests of what is compiled on its Python code alone
	@OBS_PURE_PYTHON=1 $(BIN)/python $(PYTEST) tests/core tests/adapters tests/conformance tests/budget/test_garbage.py -m "not compiled" $(ARGS)

test-sanitized: $(READY) ## run the tests of the C code under AddressSanitizer and UndefinedBehaviorSanitizer
	@scripts/sanitized $(ARGS)

test-oldest: ## run the tests on the oldest Python found, with the oldest supported release of everything
	@scripts/make-venv "$$(scripts/find-python $(VERSIONS) || echo $(PYTHON))" .venv-oldest constraints/oldest.txt
	@echo "Oldest supported releases:"
	@.venv-oldest/bin/python $(PYTEST) $(ARGS)

versions: # the Pythons that are supported, for scripts
	@echo $(VERSIONS)

bench: ## measure ours against the peers and write the tables, ten minutes (ARGS=--full: an hour; ARGS=--help: a part)
	@scripts/make-venv $(PYTHON) .venv-bench "" bench
	@.venv-bench/bin/python -m compileall -q obs_middleware adapters  # as an installer does: compiling takes memory
	@.venv-bench/bin/python -m benchmarks $(ARGS)

conformance: $(READY) ## run the conformance list and write its table into docs/conformance.md
	@$(BIN)/python -m pytest tests/conformance --conformance-table=docs/conformance.md

drain: $(READY) ## end every server under load, and write the table into docs/lifecycle.md
	@$(BIN)/python -m tests.real.draining

workers: $(READY) ## compare metrics of several workers with prometheus-client's mode, write the table into docs/workers.md
	@$(BIN)/python -m tests.real.worker_table

monitoring: $(READY) ## start the four services with real Prometheus, Alertmanager and Pushgateway around them, until Ctrl-C
	@scripts/fetch-debian-testing prometheus alertmanager pushgateway
	@$(BIN)/python -m monitoring.stack

monitoring-test: $(READY) ## all checks and proofs of monitoring/: rules, runbooks, configurations, manifests, alerts that really arrive
	@scripts/fetch-debian-testing prometheus alertmanager pushgateway docker-compose
	@$(BIN)/python $(PYTEST) tests/project/test_alert_rules.py tests/project/test_monitoring.py tests/real/test_alerts.py \
	    $(wildcard tests/*/test_*dashboard*.py tests/*/test_*panel*.py) $(ARGS)

alert-table: $(READY) ## write the table of alerts and their tests into docs/monitoring.md
	@$(BIN)/python -m monitoring.stack.alert_table

manifests: $(READY) ## write monitoring/kubernetes, of compose.yaml, docs/kubernetes and the rules
	@$(BIN)/python -m monitoring.stack.manifests

dashboards: $(READY) ## render the dashboards for Grafana
	@$(BIN)/python -m monitoring.dashboards

settings: $(READY) ## write what is made of the settings: docs/settings.md and keywords.py
	@$(BIN)/python scripts/settings_table.py
	@$(BIN)/python scripts/settings_keywords.py

families: $(READY) ## write the metrics that the command lint knows: obs_middleware/cli/lint/families.json
	@$(BIN)/python scripts/metric_families.py

names: $(READY) ## write docs/guides/names.md: every metric, log field, span attribute and setting
	@$(BIN)/python scripts/names_page.py

coverage: $(READY) ## run the tests, tell the branches that none of them took, fail where they are more than 2 %
	@$(BIN)/coverage erase
	@$(BIN)/coverage run $(PYTEST) $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

check: $(READY) ## lint, format and types, changing nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

fmt: $(READY) ## format the code, mend what the linter can mend
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

layout: $(READY) ## write native/layout.h, and build the C again
	@$(BIN)/python scripts/native_layout.py
	@OBS_NATIVE_FLAGS=-Werror $(BIN)/python hatch_build.py >/dev/null

fuzz: $(READY) ## ask the C code and the Python code hostile things (ARGS="600 seed": ten minutes)
	@$(BIN)/python scripts/fuzz_native.py $(or $(ARGS),60)

build: $(READY) ## build the wheel and the source distribution into dist/
	@$(BIN)/python -m build

clean: ## remove all that was made here, virtual environments too
	rm -rf .venv* .ci/out dist build .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f obs_middleware/_native.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml hatch_build.py $(wildcard native/*)
	@scripts/make-venv $(PYTHON) $(VENV)
