# `make demo` sets everything up and shows riskmon at work; `make test` sets everything up and runs all tests.
PYTHON ?= python3.11
VENV := .venv
STAMP := $(VENV)/.installed
# Not the same environment: Quix Streams wants other versions than riskmon.
BENCH := build/bench

.PHONY: help demo test faults evidence compiled bench lint setup docs lock clean
help:
	@echo "make demo   set up and run everything on a local Kafka, until Ctrl-C"
	@echo "make test   set up, check and run all tests"
	@echo "make faults the fault and fuzz tests at full length, about half an hour"
	@echo "make evidence   what the online model is worth, about half an hour"
	@echo "make bench  how fast riskmon is beside what else one would use, about an hour; docs/performance.md"
	@echo "make compiled   the pure core compiled to C, in build/compiled; needs gcc and Python's headers"
	@echo "make lint   ruff (rules and format) and mypy"
	@echo "make docs   write schemas, metrics page and dashboards anew from the code"
	@echo "make lock   pin the dependencies anew"
	@echo "make clean  remove what was built here"

demo: $(STAMP)
	$(VENV)/bin/riskmon demo

test: $(STAMP) lint
	$(VENV)/bin/python -m pytest

faults: $(STAMP)
	$(VENV)/bin/python -m pytest --long -s tests/integration/test_faults.py tests/integration/test_hostile.py tests/unit/test_hostile.py

evidence: $(STAMP)
	$(VENV)/bin/python -m benchmarks.evidence

compiled: $(STAMP)
	COMPILE_RISKMON=1 $(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation --upgrade \
		--target build/compiled .

bench: compiled
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet -r requirements.lock
	$(BENCH)/bin/python -m pip install --quiet -e '.[bench]'
	mkdir -p docs/performance
	$(BENCH)/bin/python -m benchmarks.compare --out docs/performance/compare.json
	$(BENCH)/bin/python -m benchmarks.performance_picture docs/performance
	$(BENCH)/bin/python -m benchmarks.growth --out docs/performance/growth.json
	$(BENCH)/bin/python -m benchmarks.recovery --runs 1 --out docs/performance/recovery.json
	$(BENCH)/bin/python -m benchmarks.cluster --out docs/performance/cluster.json
	PATH="$(BENCH)/bin:$$PATH" $(BENCH)/bin/python -m benchmarks.profile --out docs/performance/profile.svg

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found. Install it; on Debian or Ubuntu: apt install python3.11 python3.11-venv"; exit 1; }
	@command -v java >/dev/null || { echo "Java 17 or newer was not found; Kafka runs on it. On Debian or Ubuntu: apt install openjdk-17-jre-headless"; exit 1; }
	@command -v mvn >/dev/null || { echo "Maven (mvn) was not found; it fetches Kafka. On Debian or Ubuntu: apt install maven"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --require-hashes -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

docs: $(STAMP)
	$(VENV)/bin/python -m docs.generate.schemas
	$(VENV)/bin/python -m docs.generate.asyncapi
	$(VENV)/bin/python -m docs.generate.metrics_page
	$(VENV)/bin/python -m docs.generate.dashboards

lock: $(STAMP)
	$(VENV)/bin/python -m pip install --quiet pip-tools
	$(VENV)/bin/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --strip-extras \
		--allow-unsafe --extra dev --all-build-deps -o requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
