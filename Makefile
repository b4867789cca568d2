# The front door: make demo, make test, make lint, make bench. Each does its own set-up.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

VENV ?= .venv
PYTHON ?= python3.11
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
VIDEO ?=
# Native sources: a change rebuilds the runtime; a change of Python needs nothing (editable install).
NATIVE := CMakeLists.txt $(shell find kernels/runtime client_sdk/core overfit/gradients \( -name '*.cpp' -o -name '*.h' -o -name '*.hpp' -o -name '*.cmake' \) 2>/dev/null)
FORMATTED := $(shell git ls-files '*.cpp' '*.h' '*.hpp' 2>/dev/null)

.PHONY: help setup test lint format demo bench fuzz wasm sbom audit clean

help: ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(STAMP) ## .venv with everything, the runtime built

$(STAMP): pyproject.toml constraints.txt $(wildcard $(NATIVE))
	@PYTHON=$(PYTHON) VENV=$(VENV) .ci/setup
	@touch $@

test: setup ## the tests, with the reasons of the skipped ones
	@for package in qemu-user llvm-19 nodejs npm openjdk-17-jdk-headless clang-19 chromium nginx-light janus; do .ci/debian $$package || true; done
	$(BIN)/python -m pytest -rs -n 2 --dist loadfile --durations=20 $(PYTEST_ARGS)

lint: setup ## ruff, mypy --strict, clang-format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	@if [ -n "$(FORMATTED)" ]; then $(BIN)/clang-format --dry-run --Werror $(FORMATTED); fi

format: setup ## what lint would ask for
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	@if [ -n "$(FORMATTED)" ]; then $(BIN)/clang-format -i $(FORMATTED); fi

demo: setup ## encode, serve, play, report; VIDEO=path for a video of yours
	$(BIN)/python -m benchmarks.demo $(if $(VIDEO),--video "$(VIDEO)")

bench: setup ## sparse kernels against dense engines, which it installs
	@EXTRAS=bench,dev PYTHON=$(PYTHON) VENV=$(VENV) .ci/setup
	$(BIN)/python -m benchmarks.kernels

wasm: setup ## the runtime for browsers, into client_sdk/web
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cmake -S kernels/runtime/wasm -B build/wasm -G Ninja \
		-DPython_EXECUTABLE="$(CURDIR)/$(BIN)/python" -DCRISPCAST_WASM_OUTPUT="$(CURDIR)/client_sdk/web" >/dev/null
	@$(BIN)/cmake --build build/wasm

AUDIT := build/audit
$(AUDIT)/.ready: .ci/audit.txt
	@$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/pip --disable-pip-version-check install --quiet -r .ci/audit.txt
	@touch $@

sbom: setup $(AUDIT)/.ready ## what is installed, as CycloneDX: build/sbom.json
	@$(AUDIT)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
		-o build/sbom.json $(BIN)/python
	@$(BIN)/python -c "import json; print('build/sbom.json:', len(json.load(open('build/sbom.json'))['components']), 'components')"

audit: $(AUDIT)/.ready ## known vulnerabilities of what is pinned; skips where no service tells
	@$(AUDIT)/bin/python .ci/audit.py $(AUDIT)/bin/pip-audit constraints.txt

fuzz: ## the loaders against libFuzzer, SECONDS each (600); findings go to build/fuzz
	@.ci/debian clang-19 libclang-rt-19-dev || true
	kernels/runtime/fuzz/build build/fuzz
	client_sdk/core/fuzz/build build/fuzz
	@for target in plan difference patch_map session; do \
		mkdir -p build/fuzz/$$target; \
		case $$target in session) room=client_sdk/core ;; *) room=kernels/runtime ;; esac; \
		build/fuzz/fuzz_$$target -max_len=8000 -timeout=10 -max_total_time=$(or $(SECONDS),600) \
			-print_final_stats=1 -artifact_prefix=build/fuzz/found-$$target- \
			build/fuzz/$$target $$room/fuzz/corpus/$$target; \
	done

clean: ## remove what make made here
	rm -rf $(VENV) build dist demo .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
