# Thin lines over the tools. `make demo` and `make test` do everything on a fresh machine.
PYTHON ?= python3
SHARED ?= $(EXPRESSION_STUDIO_DATA)
BIN := .venv/bin
UV_VERSION := 0.13.9
# A browser that waited in vain for an element is asked once more, and the summary counts it: "1 rerun".
ONCE_MORE := --reruns 1 --only-rerun "(Locator|Page) expected" --only-rerun "Timeout \d+ms exceeded"
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint requirements.txt

.PHONY: demo test team check gpu results bench screenshots soak clean uninstall
.DEFAULT_GOAL := demo

demo: .venv/demo
	$(BIN)/python app.py

# Two processes share two cores: threads within each would wait for each other (seconds a step).
# Without PASSIVE those of OpenMP spin while they wait.
test: check
	OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup --jaxtyping-packages=registry,training,demo,beartype.beartype --durations=20 $(ONCE_MORE) $(ARGS)

# The parts of docs/deploy.md as real servers, and Ray: needs Debian's postgresql and nginx. What is
# missing fails here; `make test` skips all of it.
team: .venv/team
	EXPRESSION_STUDIO_TEAM=1 OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup --durations=20 $(ONCE_MORE) tests/team $(ARGS)

# Installs nothing: PYTHON is an interpreter with torch for the GPU. What it lacks is skipped.
gpu:
	$(PYTHON) -m pytest -c tests/gpu/pytest.ini --rootdir . --confcutdir tests/gpu -p no:cacheprovider -rs tests/gpu $(ARGS)

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Needs the shared data (SHARED=its folder); prepared sets go to data/, the page to docs/results.md.
results: .venv/dev
	$(BIN)/python benchmarks/results.py $(SHARED) data

# About an hour on idle cores: measures everything side by side and writes docs/benchmarks.md.
bench: .venv/dev
	$(BIN)/python benchmarks/bench.py $(ARGS)

# Takes the pictures of README.md anew, from the page over the registry in use.
screenshots: .venv/dev
	$(BIN)/python app.py seed
	for tab in triplet emotion transfer; do $(BIN)/python -m tests.browser.screenshot $$tab docs/$$tab.png || exit 1; done

# Hours: kills 30 times whatever can be killed, then lets 32 visitors ask for ten minutes.
soak: .venv/dev
	$(BIN)/python benchmarks/soak.py $(ARGS)

# Both write a stamp, so that a target is instant when nothing changed.
.venv/demo: requirements.txt pyproject.toml | $(BIN)/uv
	$(INSTALL) --editable .
	touch $@

.venv/dev: requirements.txt pyproject.toml | $(BIN)/uv
	$(INSTALL) --editable '.[dev]'
	touch .venv/demo $@

.venv/team: requirements.txt pyproject.toml | $(BIN)/uv
	$(INSTALL) --editable '.[team]'
	touch .venv/demo .venv/dev $@

$(BIN)/uv:
	$(PYTHON) -c "import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 13) else 'Expression Studio needs Python 3.11 or 3.12; this is %d.%d. Name one: make PYTHON=python3.12' % v)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)

clean:
	rm -rf build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

uninstall: clean
	rm -rf .venv
