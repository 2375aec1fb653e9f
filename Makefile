# Everything a newcomer needs: `make demo` and `make test`. `make` lists the rest.
PYTHON ?= python3.11
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-pi check install bench deep oldest size clean

help: ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

.venv/bin/pip:
	$(PYTHON) -m venv .venv

# A stamp for each set of packages; the pins of demo.txt are a part of those of dev.txt.
.venv/.%-installed: requirements/%.txt pyproject.toml | .venv/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -r $<
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

install: .venv/.dev-installed ## make .venv with everything, the references included

demo: .venv/.demo-installed ## speak a corpus, train on it, export, label a clip, draw its features
	sh docs/demo.sh $(BIN)/minikws demo

test: install ## run tests/, parity_tests/ and the notebooks
	$(BIN)/python -m pytest -n 2 --dist loadfile -q tests parity_tests
	$(BIN)/python -m pytest -q --nbmake --nbmake-timeout=300 notebooks

test-pi: install ## what runs on a Raspberry Pi, in emulated userlands (needs qemu-user-static)
	$(BIN)/python -m pytest -q -rs tests/pi

deep: install ## the same with many more random cases
	HYPOTHESIS_PROFILE=deep $(BIN)/python -m pytest -n 2 --dist loadfile -q tests parity_tests

oldest: ## tests/ on the lower bounds that pyproject.toml names
	$(PYTHON) -m venv .venv/oldest
	.venv/oldest/bin/pip install --quiet --disable-pip-version-check -r requirements/oldest.txt
	.venv/oldest/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	.venv/oldest/bin/python -m pytest -q tests

check: install ## format, lint, types, and who may import whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/nbstripout --verify notebooks/*.ipynb

bench: install ## time hot paths beside their references; prints ratios
	for name in frontend frontend_float training inference listening; do OMP_WAIT_POLICY=passive $(BIN)/python benchmarks/$$name.py; done

size: ## lines of each module
	@wc -l $$(git ls-files 'minikws/*.py') | sort -n

clean: ## remove what the targets made
	rm -rf .venv demo .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
