# Everything happens in an environment of its own: `make demo` and `make test` work on a fresh machine.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
TESTS ?= int8

# Without compiled files, each of the processes of pytest would compile all tests again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-haswell test-emulated test-families emulator sshd lint docs audit clean

demo: $(VENV)/.demo-ready
	$(BIN)/edgewright demo --out out/demo

test: $(VENV)/.ready
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

# int8 on an emulated CPU without VNNI, whose kernels saturate. qemu 7.2 crashes in code that OpenVINO and TensorRT make.
test-haswell: $(VENV)/.ready emulator
	ln -sf $(abspath tests/haswell) $(BIN)/python-haswell
	$(BIN)/python-haswell -m pytest --timeout 1800 -m $(TESTS) -k "not openvino and not tensorrt" \
		$$(grep -rlw --include 'test_*.py' 'mark.$(TESTS)' tests)

# A device of another architecture, emulated: its system is downloaded once.
test-emulated: $(VENV)/.ready emulator
	$(BIN)/edgewright targets setup rpi5
	EDGEWRIGHT_TEST_SYSROOTS=1 $(BIN)/python -m pytest tests/hwbench/emulation

emulator:
	@tests/emulator

# The server that the tests of boards over ssh connect to, on the loopback interface; they are skipped without it.
sshd:
	@tests/sshd

# Every family of models through a whole build on both CPU runtimes; writes docs/families.md.
test-families: $(VENV)/.ready
	$(PIP) --constraint constraints.txt transformers
	$(BIN)/python -m benchmarks.families > benchmarks/results/families.txt

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.docs-ready
	$(BIN)/python -m mkdocs build --strict

# What users install, without what tests need: known vulnerabilities (from PyPI's advisories, so this needs a network), and
# licences. Metadata of namex and mlcommons_loadgen names none; both are Apache-2.0.
audit:
	$(MAKE) VENV=$(VENV)-audit $(VENV)-audit/.audit-ready
	$(VENV)-audit/bin/pip-licenses --partial-match --ignore-packages edgewright namex mlcommons_loadgen \
		--allow-only '0BSD;Apache;BSD;MIT;MPL-2.0;Mozilla Public License;PSF-2.0;Python Software Foundation'
	$(VENV)-audit/bin/pip-audit --strict --skip-editable

# An environment with one extra. torch goes first and alone: as a dependency, it would bring gigabytes of CUDA.
define install
	$(PYTHON) -m venv $(VENV)
	$(PIP) --constraint constraints.txt torch
	$(PIP) --constraint constraints.txt --editable '.[$(1)]'
	touch $@
endef

# `make demo` is a reader's first minutes, so it installs what the demo imports and not what tests need.
$(VENV)/.demo-ready: pyproject.toml constraints.txt
	$(call install,toolchain)

$(VENV)/.docs-ready: pyproject.toml constraints.txt
	$(call install,docs)

$(VENV)/.audit-ready: pyproject.toml constraints.txt
	$(call install,audit)

$(VENV)/.ready: pyproject.toml constraints.txt
	$(call install,dev)
	touch $(VENV)/.demo-ready  # dev holds all of it

clean:
	rm -rf $(VENV) $(VENV)-audit build dist *.egg-info out
