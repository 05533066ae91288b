# Two commands on a fresh machine: `make auto` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready

# Images of machines often set it: then each of the hundreds of processes compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: auto test xla check format bench clean

auto: $(READY)  ## from nothing to a trained, evaluated classifier
	$(BIN)/agnews auto --yes

test: $(READY)  ## everything that CI runs
	$(BIN)/python -m pytest -n 3 --dist worksteal -m "not slow"

xla:  ## training as on a TPU, by XLA on this CPU: its own torch, 7 GB
	$(PYTHON) -m venv .xla
	grep -v '^torch==' constraints.txt > .xla/constraints.txt
	.xla/bin/python -m pip install --quiet --disable-pip-version-check -c .xla/constraints.txt \
		torch==2.9.0 torch_xla==2.9.0 -e '.[train]' pytest hypothesis
	PJRT_DEVICE=CPU .xla/bin/python -m pytest tests/learn/test_xla.py

check: $(READY)  ## formatter, linter, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e '.[train,embedded,dev]'
	touch $@

clean:
	rm -rf $(VENV) .xla .mypy_cache .ruff_cache .pytest_cache
