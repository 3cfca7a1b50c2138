"""The pytest fixture, in a pytest of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TESTS = """
PLAN = {"block_s": 0.05, "max_time_s": 30}

def test_met(edgewright_gate):
    gated = edgewright_gate("model.edge", "p50<=10s", "size<=1GB", **PLAN)
    assert len(gated.candidate.latency.blocks) >= 9

def test_broken(edgewright_gate):
    edgewright_gate("model.edge", "size<=1B", **PLAN)

def test_unknown(edgewright_gate):
    edgewright_gate("model.edge", "accuracy>=0.5", **PLAN)

def test_mistake(edgewright_gate):
    edgewright_gate("model.edge", "p42<=1ms")

def test_no_budget(edgewright_gate):
    edgewright_gate("model.edge")
"""


@pytest.fixture(scope="module")
def folder(pack_linear, tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("plugin")
    pack_linear(folder / "model.edge")
    (folder / "test_gates.py").write_text(TESTS)
    return folder


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", *options, "test_gates.py"]
    # The entry point would load it where edgewright is installed; here it may not be.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command[3:3] = ["-p", "hwbench.gate.pytest_plugin"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_a_budget_that_is_broken_or_cannot_be_told_fails_the_test(folder, tmp_path):
    done = run(folder, f"--junit-xml={tmp_path / 'junit.xml'}", "-o", "junit_family=xunit1")
    assert done.returncode == 1, done.stdout
    cases = {case.get("name"): case for case in ET.parse(tmp_path / "junit.xml").iter("testcase")}
    failed = {name: case.find("failure") for name, case in cases.items()}
    assert failed["test_met"] is None
    messages = {name: str(failure.get("message")) for name, failure in failed.items() if failure is not None}
    assert "size<=1B: fail" in messages["test_broken"]
    assert "accuracy>=0.5: inconclusive" in messages["test_unknown"]
    assert "unknown quantity 'p42'" in messages["test_mistake"]
    assert "There is no budget" in messages["test_no_budget"]
    properties = {item.get("name"): item.get("value") for item in cases["test_met"].iter("property")}
    assert set(properties) == {"p50<=10s", "size<=1GB"}
    assert re.search(r"\d+ of \d+ processes undisturbed", str(properties["p50<=10s"]))


def test_inconclusive_may_skip_and_never_passes(folder):
    done = run(folder, "--edgewright-inconclusive=skip", "-k", "test_unknown", "-rs")
    assert "1 skipped" in done.stdout
    assert "accuracy>=0.5: inconclusive" in done.stdout
    assert "invalid choice" in run(folder, "--edgewright-inconclusive=pass").stderr
