# Two commands: `make demo` and `make test`; `make docs` writes the site. All work in .venv and touch nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := results/demo

.PHONY: demo test docs wheel setup dev lint types check-python clean

demo: setup
	rm -rf $(DEMO)
	$(BIN)/mcinj run experiments/quickstart.toml --results $(DEMO)
	$(BIN)/mcinj report $(DEMO)

test: dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest

# Warnings are errors (strict, in mkdocs.yml); the site is in site/index.html.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# With compiled kernels for this Python, numba and family of processors; others compile, as they do without (docs/compiling.md).
wheel: setup
	$(BIN)/mcinj warmup --ship mcinj/_compiled
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@ls -l dist/*.whl

setup: $(VENV)/.installed

dev: $(VENV)/.installed-dev

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "mcinj needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..."; exit 2; }

$(BIN)/python: | check-python
	@$(PYTHON) -m venv $(VENV) || \
	{ rm -rf $(VENV); echo "Python cannot make an environment; on Debian and Ubuntu: apt install python3-venv"; exit 2; }

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) $(DEMO) dist site mcinj/_compiled
