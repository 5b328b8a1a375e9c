# The commands of a developer. Each prepares what it needs: `.venv` from the hash-pinned locks in `requirements/`.
# The recipes become the program that they start (exec), so that killing make ends what it started.

PYTHON ?= python3
NEEDS_PYTHON = command -v $(PYTHON) >/dev/null 2>&1 || { \
	echo "Python 3.11 or newer is needed; found none. Install it: apt install python3 python3-venv" >&2; exit 1; }
START = @$(NEEDS_PYTHON); exec $(PYTHON) portal/demo/bootstrap.py

.PHONY: demo demo-reset test test-faults test-proofs check bench help
.DEFAULT_GOAL := help

help:
	@echo "make demo         start Roledesk with a simulated AWS (PORT=8000); Ctrl-C stops it"
	@echo "make demo-reset   remove the demo's data, to start over"
	@echo "make test         every test lane; LANES=\"unit browser-sqlite\" runs those, INSTALL=0 installs nothing"
	@echo "make test-faults  the fault matrix; FAULTS=--ci runs a part of it"
	@echo "make test-proofs  random policies against a brute force and z3; PAIRS=2000 SEED=1"
	@echo "make check        format, lint, types, imports, migrations, deploy check"
	@echo "make bench        measured figures; BENCH=\"demo\" runs those"

demo:
	$(START) demo

demo-reset:
	$(START) demo-reset

test:
	$(START) test $(LANES)

test-faults:
	$(START) test-faults $(FAULTS)

test-proofs:
	$(START) test-proofs --pairs $(or $(PAIRS),2000) --seed $(or $(SEED),1)

check:
	$(START) check

bench:
	$(START) bench $(BENCH)
