# Each target sets up what it needs in .venv: no root, nothing installed elsewhere.
# Needs: make, git, and Python 3.11 or later (PYTHON=/path/to/python3 chooses one).

BIN := .venv/bin
ready = .venv/.ready-$(1)

.PHONY: demo test lint docs sim-long sim-pythons sim-crashes bench bench-peers bench-scale bench-launch protocol mutants changes clean

demo: $(call ready,demo)
	rm -rf build/demo
	mkdir -p build/demo
	$(BIN)/python examples/variants/variants.py file:build/demo/job-store --output demo-results

test: export PYTHONDONTWRITEBYTECODE =   # thousands of processes start, which would compile all modules anew
test: lint
	$(BIN)/pytest -n 2 -rs --cov --cov-report=term $(ARGS)

lint: $(call ready,test)
	$(BIN)/ruff check
	$(BIN)/mypy

docs: $(call ready,test)
	$(BIN)/python tools/generate_docs.py
	$(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

sim-long: $(call ready,test)
	$(BIN)/toil-sim --runs 1000000 --processes $$(nproc)
	$(BIN)/toil-sim --crashes 2 --processes $$(nproc)

sim-pythons: PYTHONS ?= python3.11 python3.12 python3.13 python3.14
sim-pythons: $(call ready,test)   # all of PYTHONS, names or paths, come to one and the same hash of traces
	for python in $(PYTHONS); do $(BIN)/uv run --isolated --no-project --python $$python --with . toil-sim --runs 100 | grep ^traces; done \
		| sort | uniq -c | awk '{ print; same = $$1 } END { exit NR != 1 || same != $(words $(PYTHONS)) }'

sim-crashes: $(call ready,test)
	$(BIN)/toil-sim --crashes 2 $(ARGS)

bench: $(call ready,test)
	$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(call ready,test)
	$(BIN)/python -m benchmarks.install $(PEERS)

bench-scale: $(call ready,test)
	$(BIN)/python -m benchmarks.scale $(ARGS)

bench-launch: $(call ready,test)
	$(BIN)/python -m benchmarks.launch $(ARGS)

protocol: $(call ready,test)
	$(BIN)/python -m tests.protocol.explore $(ARGS)

mutants: $(call ready,test)
	$(BIN)/python -m tools.mutants --sample 300 $(ARGS)

changes: $(call ready,test)
	$(BIN)/towncrier build --draft

clean:
	rm -rf .venv build dist site demo-results htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/.ready-%: pyproject.toml $(wildcard plugins/*/pyproject.toml) tools/setup tools/fetch_pip.py
	tools/setup $*
	@touch $@
