"""The device has Python, NumPy and one backend: nothing else may be needed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from runtimes.bundles.bundle import Bundle
from runtimes.bundles.manifest import Manifest
from runtimes.codec import decode
from runtimes.tensors import Array
from toolchain.packaging.pack import Contents

ROOT = Path(__file__).parents[2]
SERVING = ("__init__", "frames", "json_tensors", "limits", "open_inference_protocol")  # without an extra
MODULES = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for file in (ROOT / "runtimes").rglob("*.py")
    if file.parent.name not in ("backends", "profilers", "cuda", "meters")
    or file.stem in ("__init__", "null", "_choice", "_protocol", "_kinds", "ina3221", "rapl")
    if file.stem != "signing" and (file.parent.name != "serving" or file.stem in SERVING)  # the extras [sign], [serve]
)
PYTHONS = ("3.10", "3.12")  # the oldest that we promise, and one of the newest

TRACE = """
import importlib, json, sys
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
# Modules without a spec were made, not imported: Cython's, in NumPy 1.
found = [name for name in set(sys.modules) - before if getattr(sys.modules[name], "__spec__", None)]
packages = {name.partition(".")[0] for name in found}
print(json.dumps(sorted(packages - set(sys.stdlib_module_names))))
"""


def clean_environment() -> dict[str, str]:
    """Without what could bring packages in from elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run(command: list[str], folder: Path, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=timeout_s
    )


def test_every_module_is_looked_at() -> None:
    assert {"runtimes", "runtimes.__main__", "runtimes.bundles.bundle", "runtimes.backends.null"} <= set(MODULES)


@pytest.mark.parametrize("modules", [["runtimes"], MODULES], ids=["the package", "every module of it"])
def test_only_numpy_and_the_standard_library_are_imported(modules: list[str]) -> None:
    done = run([sys.executable, "-c", TRACE, *modules], ROOT)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) <= {"numpy", "runtimes"}


def test_the_backend_is_imported_on_demand_and_alone(bundle: Path) -> None:
    """Imports of ONNX Runtime itself may come along; our own host side may not."""
    program = f"import runtimes, sys; runtimes.load({str(bundle)!r}); print(*sys.modules)"
    done = run([sys.executable, "-c", program], ROOT)
    assert done.returncode == 0, done.stderr
    packages = {name.partition(".")[0] for name in done.stdout.split()}
    assert {"runtimes", "numpy", "onnxruntime"} <= packages
    assert not packages & {
        "hwbench",
        "toolchain",
        "profiles",
        "onnx",
        "onnx_ir",
        "torch",
        "click",
        "psutil",
        "openvino",
    }


@pytest.fixture(scope="session", params=PYTHONS)
def device_python(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter in a fresh environment with NumPy, ONNX Runtime and our wheel."""
    interpreter = find_python(request.param)
    if interpreter is None:
        pytest.skip(f"There is no python{request.param} on this machine.")
    folder = tmp_path_factory.mktemp("device") / "venv"
    made = run([interpreter, "-m", "venv", "--without-pip", str(folder)], folder.parent)
    assert made.returncode == 0, made.stderr
    python = str(folder / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-compile"]
    others = run([*pip, "--only-binary=:all:", "numpy", "onnxruntime"], folder.parent, timeout_s=250)
    if others.returncode != 0:
        pytest.skip(f"pip cannot install numpy and onnxruntime: {others.stderr.strip().splitlines()[-1]}")
    ours = run([*pip, "--no-deps", "--no-index", str(wheel)], folder.parent)
    assert ours.returncode == 0, ours.stderr
    return python


def find_python(version: str) -> str | None:
    """A working interpreter of a version: on the path, or one that pyenv keeps."""
    found = [shutil.which(f"python{version}"), *map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
    for candidate in filter(None, found):
        probe = subprocess.run(
            [candidate, "-c", "import sys; print(*sys.version_info[:2], sep='.')"], capture_output=True
        )
        if probe.stdout.decode().strip() == version:
            return candidate
    return None


def test_the_wheel_works_on_a_device(
    device_python: str, bundle: Path, contents: Contents, images: Array, tmp_path: Path
) -> None:
    def call(*arguments: str) -> str:
        done = run([device_python, "-m", "runtimes", *arguments], tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    where = run([device_python, "-c", "import runtimes; print(runtimes.__file__)"], tmp_path).stdout
    assert where.startswith(str(Path(device_python).parents[1]))  # the wheel's, not the checkout's

    with Bundle(bundle) as opened:
        assert decode(Manifest, json.loads(call("info", str(bundle))), "info") == opened.manifest
    assert "\nok: scores differs by " in call("verify", str(bundle))

    np.savez(tmp_path / "x.npz", image=images)
    call("run", str(bundle), "--inputs", "x.npz", "--outputs", "y.npz")
    with np.load(tmp_path / "y.npz") as outputs:
        np.testing.assert_allclose(outputs["scores"], contents.golden_outputs["scores"], rtol=1e-3, atol=1e-4)

    call(
        "sample", str(bundle), "--inputs", "x.npz", "--out", "block.json", "--plan", '{"min_runs": 20, "max_runs": 20}'
    )
    assert len(json.loads((tmp_path / "block.json").read_text())["samples_ns"]) == 20
