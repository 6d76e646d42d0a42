# `make` alone lists what there is. Everything installs what it needs first (quick when nothing is missing).
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON := .venv/bin/python
COLIBRI := $(PYTHON) -m probe
PYTEST := $(PYTHON) -m pytest
# Packets fly only in network namespaces: as root, in a user's own, or through sudo where a system forbids those.
NETNS := deploy/with-namespaces.sh
AS_ROOT := $(shell [ "$$(id -u)" -eq 0 ] || command -v sudo)
DEMO_SECONDS ?=
export DEMO_SECONDS

.PHONY: help
help: ## This list
	@printf 'Colibri: measures what an internet operator does to a line. Targets:\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: install install-test install-test-long
install: ## System packages (apt), .venv from the lock, the `colibri` command
	@deploy/install.sh

install-test:
	@deploy/install.sh test

.PHONY: lint
lint: install ## ruff, and mypy --strict, over probe/, tests/ and deploy/
	$(PYTHON) -m ruff check probe tests deploy
	$(PYTHON) -m mypy probe tests deploy/screenshots.py
	MYPYPATH=deploy $(PYTHON) -m mypy deploy/bench*.py

.PHONY: test test-long
test: install-test ## The whole suite on every core, packets in the lab included
	$(NETNS) $(PYTEST) -m "not long" -n auto --dist worksteal -o tmp_path_retention_policy=failed

install-test-long:
	@deploy/install.sh test-long

test-long: install-test-long ## What takes long: kills, soak, fuzzing
	$(NETNS) $(PYTEST) -m long --timeout=1800
	HYPOTHESIS_PROFILE=thorough $(NETNS) $(PYTEST) -m "hypothesis and not long" -n auto --dist worksteal --timeout=1800

.PHONY: demo
demo: install ## Three operators in a lab, a broker, the monitor (DEMO_SECONDS=40 ends it with a table)
	@$(NETNS) --visible $(COLIBRI) lab demo

.PHONY: run
run: install ## Measure this machine's own line, once, and print what was found (packets need root)
	@$(AS_ROOT) $(COLIBRI) run --once --config $(or $(CONFIG),deploy/own-line.toml)

.PHONY: lab lab-score
lab: install ## Raise the lab and keep it up until Ctrl-C
	@$(NETNS) --visible $(COLIBRI) lab up --foreground

lab-score: install ## Every scenario, RUNS=20 times, each on a bad line of its own; broken off, it resumes (LOG=…)
	@$(NETNS) $(COLIBRI) lab score --runs $(or $(RUNS),20) $(if $(JOBS),--jobs $(JOBS)) --impaired \
		--log $(or $(LOG),var/lab-score.jsonl) --json var/lab-score.json --markdown docs/lab-score.md
	@sed -n '1,/^## /p' docs/lab-score.md

.PHONY: dossiers
dossiers: install ## Play two weeks in the lab and write their dossiers and studies (DIR=var/dossiers)
	@$(NETNS) $(COLIBRI) lab dossiers $(or $(DIR),var/dossiers)

.PHONY: screenshots
screenshots: install-test ## docs/images anew: the monitor's pages on a month that is invented, in Chromium
	$(PYTHON) deploy/screenshots.py

.PHONY: bench bench-quick install-bench
install-bench:
	@deploy/install.sh bench

bench: install-bench ## Start, idle memory; the engine beside scamper, nmap, dnsperf, scapy, aiodns: docs/benchmarks.md
	@$(NETNS) $(PYTHON) deploy/bench.py --write docs/benchmarks.md -- \
		$(PYTHON) deploy/bench_engine.py --write docs/benchmarks.md

bench-quick: install-bench ## The same in a minute: fewer pairs, nothing is written
	@$(NETNS) $(PYTHON) deploy/bench.py -- $(PYTHON) deploy/bench_engine.py --quick

.PHONY: install-service
install-service: ## Make this machine a probe that measures by itself: program, users, units, the home's page
	@$(AS_ROOT) deploy/service/install.sh

.PHONY: bench-collector
bench-collector: install-test ## Findings a second that the collector stores, beside mosquitto_sub; writes docs/benchmarks.md
	@$(PYTHON) deploy/bench_collector.py --write docs/benchmarks.md

# $(1): the lock's name, $(2): the extras it holds. --universal: one lock for every system and Python.
define compile_lock
.venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	pyproject.toml $(2) -o locks/$(1).txt
endef

.PHONY: image
image: install ## A card image for Raspberry Pi 3, 4, 5, Zero 2 W, in build/image (docs/image.md)
	deploy/image/build.sh

.PHONY: image-test
image-test: install ## Boot that image in qemu: first finding, updates good and bad, power cuts (an hour and more)
	deploy/image/test.sh

.PHONY: deb
deb: install ## Debian packages of the probe (arm64, amd64), in build/image
	deploy/image/deb.sh arm64
	deploy/image/deb.sh amd64

.PHONY: deb-test
deb-test: ## Install those packages on a fresh Debian 13 in a folder of its own, and purge them again (minutes)
	deploy/image/debtest.sh amd64
	deploy/image/debtest.sh arm64

.PHONY: lock
lock: install ## Write the locks anew after a change of pyproject.toml
	@test -x .venv/bin/uv || $(PYTHON) -m pip install --quiet uv
	$(call compile_lock,dev,--extra collector --extra dossier --extra dev)
	$(call compile_lock,bench,--extra collector --extra dossier --extra dev --extra bench)
	$(call compile_lock,long,--extra collector --extra dossier --extra dev --extra long)
	$(call compile_lock,collector,--extra collector --extra dossier)
	$(call compile_lock,probe,)

.PHONY: clean
clean: ## Remove .venv and everything that can be made again
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find probe tests -name __pycache__ -type d -prune -exec rm -rf {} +
