"""The README's own blocks, run as a reader would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
# Set-up, and what would run this test inside itself.
NOT_HERE = ("make ", "source ")


def commands() -> list[str]:
    lines = "".join(text for language, text in BLOCKS if language == "sh").replace("\\\n", " ").splitlines()
    return [line for line in lines if line and not line.startswith(NOT_HERE)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder, after `make demo` and with the README's Python and TOML saved under the names it gives."""
    folder = tmp_path_factory.mktemp("readme")
    for language, text in BLOCKS:
        if language == "python" and text.startswith("# classifier.py"):
            (folder / "classifier.py").write_text(text)
        if language == "toml":
            (folder / "edgewright.toml").write_text(text)
    assert run("edgewright demo --out out/demo", folder).returncode == 0
    return folder


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_readme_has_the_blocks_we_think_it_has() -> None:
    assert len(commands()) >= 10
    assert {language for language, _ in BLOCKS} == {"sh", "python", "toml", "yaml"}


@pytest.mark.timeout(600)
def test_every_command_gives_the_exit_code_that_the_readme_says(folder: Path) -> None:
    for command in commands():
        promised = re.search(r"# exit code (\d)", command)
        done = run(command, folder)
        assert done.returncode == int(promised[1] if promised else 0), f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr


@pytest.mark.timeout(600)
def test_the_readmes_toml_and_device_code_run(folder: Path) -> None:
    run("python classifier.py", folder)
    done = run("edgewright build edgewright.toml --duration 0.1", folder)
    assert done.returncode == 0, done.stderr
    device_code = next(text for language, text in BLOCKS if language == "python" and "runtimes.load" in text)
    (folder / "device.py").write_text(device_code)
    done = run("python device.py", folder)
    assert done.returncode == 0, done.stderr
    assert "(1, 10)" in done.stdout
