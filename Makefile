# Everything happens in an environment of its own: `make demo` and `make test` work on a fresh machine.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
TESTS ?= int8

.PHONY: demo test test-haswell emulator lint clean

demo: $(VENV)/.ready
	$(BIN)/edgewright demo --out out/demo

test: $(VENV)/.ready
	$(BIN)/python -m pytest

# int8 on an emulated CPU without VNNI, whose kernels saturate. qemu 7.2 crashes in code that OpenVINO and TensorRT make.
test-haswell: $(VENV)/.ready emulator
	ln -sf $(abspath tests/haswell) $(BIN)/python-haswell
	$(BIN)/python-haswell -m pytest --timeout 1800 -m $(TESTS) -k "not openvino and not tensorrt" \
		$$(grep -rlw --include 'test_*.py' 'mark.$(TESTS)' tests)

emulator:
	@tests/emulator

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# torch goes first and alone: asked for as somebody's dependency, it would bring gigabytes of CUDA.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --constraint constraints.txt torch
	$(PIP) --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info out
