# `make` lists the targets. Needs Python 3.11 or newer and make; everything else goes into .venv.

PYTHON ?= python3
CONFIG ?= churn.toml
VENV   := .venv
BIN    := $(VENV)/bin
CHURN  := $(BIN)/churn
READY  := $(VENV)/.ready
SPARK  := $(VENV)/.spark
DATA   := data/complete_journey/redemptions.parquet

# BLAS threads spin while they wait: twice the processor time, and nothing gained.
export OPENBLAS_NUM_THREADS ?= 1

# Bytecode is compiled once: without it each command spends up to ten seconds compiling libraries.
unexport PYTHONDONTWRITEBYTECODE
UV     := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python

.DEFAULT_GOAL := help
.PHONY: help install train demo evaluate score plan serve report mlflow spark test quick coverage check mutants kills faults docs format pins clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(READY) ## Create .venv with the churn command

$(READY): pyproject.toml requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$$(grep '^uv==' requirements.txt)"
	$(UV) -r requirements.txt
	$(UV) --no-deps -e .
	@touch $@

# Files go to the workers in the order of tests/conftest.py, which begins with the slow ones.
TESTS := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# Spark is large, and only the tests and those who ask for it need it.
$(SPARK): requirements-spark.txt | $(READY)
	$(UV) -r requirements-spark.txt
	@touch $@

$(DATA): | $(READY)
	$(CHURN) example --out $(@D)

# The example's data is only needed by the example's configuration.
ifeq ($(CONFIG),churn.toml)
INPUT := $(DATA)
endif

train: $(READY) $(INPUT) ## Train on the example (or CONFIG=my.toml), evaluate, promote
	$(CHURN) train --config $(CONFIG)

demo: $(READY) ## Run the complete loop on a simulated shop, in out/demo, and show its pages
	rm -rf out/demo
	$(CHURN) demo --out out/demo
	$(CHURN) publish --config out/demo/churn.toml
# Served until Enter is pressed; not where nobody can press it, nor with SERVE=no.
	@if [ -t 0 ] && [ -z "$$CI" ] && [ "$(SERVE)" != no ]; then \
	  CHURN__SERVING__UNSUBSCRIBE=false $(CHURN) serve --config out/demo/churn.toml & served=$$!; \
	  echo "The pages are at the address that follows. Press Enter to end them."; read -r _; kill $$served; wait $$served; fi

evaluate: $(READY) $(DATA) ## Train on the example as of 2017-12-03, evaluate on the following 28 days
	$(CHURN) train --as-of 2017-12-03 --models out/evaluate
	$(CHURN) evaluate --model out/evaluate/champion --pooled

score: $(READY) $(INPUT) ## Score every customer into out/scores.parquet
	$(CHURN) score --config $(CONFIG) --out out/scores.parquet

serve: $(READY) $(INPUT) ## Publish, and serve the pages on http://127.0.0.1:8080/ (after `make train`)
	$(CHURN) publish --config $(CONFIG)
	$(CHURN) serve --config $(CONFIG)

plan: $(READY) $(INPUT) ## Choose an offer or none for every customer into out/plan.parquet
	$(CHURN) plan --config $(CONFIG) --out out/plan.parquet

report: $(READY) $(INPUT) ## Publish what is known, and write out/report.html
	$(CHURN) publish --config $(CONFIG)
	$(CHURN) report --config $(CONFIG) --out out/report.html

mlflow: $(READY) ## Open MLflow with the recorded runs
	$(BIN)/mlflow server --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port 5000

spark: $(SPARK) ## Install Spark for engine = "spark" (needs Java 17 or newer)

test: $(READY) $(SPARK) $(DATA) ## Run the tests and the examples in the docs
	$(TESTS)

quick: $(READY) ## Run the tests without servers, training and long searches
	$(TESTS) -m "not slow and not spark and not postgres and not faults"

coverage: $(READY) $(SPARK) $(DATA) ## Run all tests, and show the lines that none of them reaches
	$(TESTS) --cov --cov-report=term:skip-covered

check: $(READY) $(SPARK) ## Lint, types, layers, then the tests: what CI runs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

mutants: $(READY) ## Apply known faults one at a time, and show which the tests catch
	$(BIN)/python tests/shop/mutants.py

faults: $(READY) ## Run the tests that kill and overload for minutes
	$(BIN)/pytest -m faults tests/faults

kills: $(READY) ## Kill commands at each of their commit points, and count what is lost
	$(BIN)/python tests/shop/kills.py

docs: $(READY) ## Write the generated pages of docs/, and build the site into site/
	$(BIN)/python -m churn.features.docs > docs/features.md
	$(BIN)/python -m churn.analytics.docs > docs/retention.md
	$(BIN)/python -m churn.cli.reference > docs/commands.md
	$(BIN)/python -m churn.analytics.customer_docs > docs/segments.md
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: $(READY) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

EXTRAS := delta examples iceberg oidc phone polars postgres report serve sqlite tune dev
PIN := $(BIN)/uv pip compile --quiet --universal --no-emit-index-url --no-emit-find-links \
  --python-version 3.11 --upgrade

pins: ## Update the requirements files from pyproject.toml
	$(PIN) $(EXTRAS:%=--extra %) pyproject.toml --output-file requirements.txt
	$(BIN)/python -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb")); \
	  print(*extras["project"]["optional-dependencies"]["spark"])' \
	  | $(PIN) --no-header - --output-file requirements-spark.txt

clean: ## Remove everything the targets created, including models and data
	rm -rf $(VENV) data out site mlflow.db mlartifacts ledger.db* ledger.id segments.json models/champion models/churn-*
