"""An install of 'edgewright[onnxruntime,hwbench]' is enough to gate and to measure a bundle."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runtimes import plugins
from toolchain.packaging.pack import Contents, pack

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[3]
EXTRAS = ("onnxruntime", "hwbench")  # as README.md and action.yml have them

# Python imports a module of this name when it starts, in the processes that measure as well.
SITECUSTOMIZE = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def absent() -> set[str]:
    """The optional packages, by the names they are imported by, that the extras do not bring."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    brought = {re.split(r"[^\w-]", line)[0] for extra in EXTRAS for line in extras[extra]}
    return {*plugins._EXTRAS, *plugins._DISTRIBUTIONS} - brought


@pytest.fixture
def device(tmp_path: Path) -> Run:
    """Runs Python where nothing else is installed."""
    (tmp_path / "sitecustomize.py").write_text(SITECUSTOMIZE.format(absent=sorted(absent())))

    def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(tmp_path), str(ROOT)])
        command = [sys.executable, "-c", program, *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)

    return run


@pytest.fixture
def edgewright(device: Run) -> Run:
    return lambda *arguments: device("from toolchain.cli import main; main()", *arguments)


@pytest.fixture
def packed(contents: Contents, tmp_path: Path) -> Path:
    """A bundle for this machine."""
    pack(dataclasses.replace(contents, report=None), tmp_path / "tiny.edge")
    return tmp_path / "tiny.edge"


def test_the_rest_is_absent(device: Run) -> None:
    assert {"onnx", "onnx_ir", "torch", "sklearn", "matplotlib", "sqlalchemy", "jinja2", "pynvml"} <= absent()
    for name in ("torch", "onnx", "onnx_ir"):
        assert f"No module named '{name}'" in device(f"import {name}").stderr


def test_a_bundle_is_gated(edgewright: Run, packed: Path) -> None:
    limits = ("--budget", "p50<=10s", "--budget", "size<=1GB")
    outputs = [word for form in ("json", "markdown", "junit") for word in ("--output", f"{form}=gate.{form}")]
    done = edgewright("gate", packed, *limits, *outputs, "--format", "github", "--duration", "0.05")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("::notice title=p50<=10s%3A pass::")
    assert "**pass** p50<=10s" in (packed.parent / "gate.markdown").read_text()


def test_a_bundle_is_measured_without_a_roofline(edgewright: Run, packed: Path) -> None:
    done = edgewright("measure", packed, "--duration", "0.05", "--format", "json", "--out", "again.json")
    assert (done.returncode, done.stderr) == (0, "")
    (found,) = json.loads(done.stdout)["profiles"]
    report = found["candidates"][0]["report"]
    assert len(report["latency"]["blocks"]) == 6
    assert "pip install 'edgewright[toolchain]'" in report["unmeasured"]["peaks"]
    judged = edgewright("gate", "again.json", "--budget", "p50<=10s")
    assert (judged.returncode, judged.stderr) == (0, "")
    assert judged.stdout.startswith("tiny for ")


def test_a_bare_model_takes_more_and_says_what(edgewright: Run, tiny_onnx: Path) -> None:
    done = edgewright("measure", tiny_onnx)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: Measuring a source needs the package ")
    assert "pip install 'edgewright[toolchain]'" in done.stderr


def test_without_click_the_command_says_what_to_install():
    program = "import sys; sys.modules['click'] = None; import toolchain.cli"  # as on a device with runtimes alone
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'edgewright[hwbench]'" in done.stderr
    assert "Traceback" not in done.stderr
