# SPDX-License-Identifier: AGPL-3.0-or-later
# make demo | make test | make unit | make lint | make env
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP_ARGS ?=
DEMO_OUT ?= runs/demo
DEMO_SCENARIO ?= ac-14
DEMO_SEED ?= 0

.PHONY: env demo test unit lint clean

env: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	sh deploy/system-packages.sh demo
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --progress-bar on $(PIP_ARGS) --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: env
	$(BIN)/walkout demo --scenario $(DEMO_SCENARIO) --seed $(DEMO_SEED) --out $(DEMO_OUT)

test: env
	sh deploy/system-packages.sh test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pytest tests/unit
	$(BIN)/pytest tests/integration

unit: env
	$(BIN)/pytest tests/unit -m "not slow"

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) runs recordings datasets deploy/kafka/dist
