"""`python -m runtimes` in a folder of somebody else's: no Python file there is imported."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
THEIRS = "raise SystemExit('a file of the current folder was imported')\n"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder with a file for everything that could be imported."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    for name in (*sys.stdlib_module_names, "numpy", "onnxruntime", "cryptography", "uvicorn", "starlette"):
        (folder / f"{name}.py").write_text(THEIRS)
    return folder


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


@pytest.mark.parametrize("safe", [False, True], ids=["", "PYTHONSAFEPATH"])
def test_a_bundle_is_verified(bundle: Path, hostile: Path, safe: bool) -> None:
    command = [sys.executable, "-m", "runtimes", "verify", str(bundle)]
    env = environment(**({"PYTHONSAFEPATH": "1"} if safe else {}))
    done = subprocess.run(command, cwd=hostile, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_bundle_is_served_by_a_worker_of_its_own(bundle: Path, hostile: Path) -> None:
    pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")
    command = [sys.executable, "-m", "runtimes", "serve", str(bundle), "--port", "0"]
    with subprocess.Popen(command, cwd=hostile, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert any(re.search(r"http://127.0.0.1:\d+", line) for line in process.stderr)
        finally:
            process.kill()


def test_a_checkout_runs_without_installation(bundle: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "runtimes", "info", str(bundle)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_program_that_imports_the_package_keeps_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "__init__.py").write_text("import runtimes\n")
    (tmp_path / "program" / "__main__.py").write_text("import helper\n")
    (tmp_path / "helper.py").touch()
    command = [sys.executable, "-m", "program", "runtimes"]
    subprocess.run(command, cwd=tmp_path, env=environment(), check=True, timeout=60)


def test_importing_the_package_leaves_the_path_alone(tmp_path: Path) -> None:
    program = "import sys; before = list(sys.path); import runtimes; assert sys.path == before"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment(), check=True, timeout=60)
