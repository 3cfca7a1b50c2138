"""The README's and the tutorials' own blocks, run as a reader would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documents import ROOT, blocks

README = ROOT / "README.md"
PACKAGE = ROOT / "docs/tutorials/package-a-model.md"
# In this order: a reader packages the README's model in seconds a second time, since its measurements are kept.
RUN = (README, *(ROOT / "docs/tutorials" / f"{name}.md" for name in ("run-on-a-device", "benchmark-hardware")))
RUN += (ROOT / "docs/tutorials/gate-in-ci.md", PACKAGE, ROOT / "docs/how-to/sign-bundles.md")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder, after `make demo`."""
    folder = tmp_path_factory.mktemp("reader")
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


@pytest.mark.timeout(600)
@pytest.mark.parametrize("document", RUN, ids=lambda path: path.stem)
def test_every_block_does_what_the_document_says(document: Path, folder: Path) -> None:
    """A reader saves the files that blocks name, runs the commands, and sees the promised exit codes."""
    found = blocks(document)
    for block in found:
        if block.file is not None:
            (folder / block.file).write_text(block.text)
    for number, block in enumerate(found):
        if block.language == "python" and block.file is None and block.text.startswith("import"):
            (folder / f"block{number}.py").write_text(block.text)
            succeeds(f"python block{number}.py", folder)
        if block.language == "sh":
            for command in block.commands:
                succeeds(command, folder)


def succeeds(command: str, folder: Path) -> None:
    if command.startswith("make "):  # it would run this test inside itself
        return
    promised = re.search(r"# exit code (\d)", command)
    done = run(command, folder)
    assert done.returncode == int(promised[1] if promised else 0), f"{command}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr


def test_the_tutorials_pytest_fixture_gates(folder: Path) -> None:
    (block,) = (block for block in blocks(ROOT / "docs/tutorials/gate-in-ci.md") if block.file == "test_model.py")
    (folder / "test_model.py").write_text(block.text)
    done = run("python -m pytest -q -p no:cacheprovider --rootdir . test_model.py", folder)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout


def test_the_documents_have_the_blocks_we_think_they_have() -> None:
    assert {block.language for block in blocks(README)} == {"sh", "python"}
    for document in RUN:
        assert sum(len(block.commands) for block in blocks(document) if block.language == "sh") >= 3, document
    assert re.findall(r"# exit code (\d)", (ROOT / "docs/tutorials/gate-in-ci.md").read_text()) == list("0123")


def test_the_tutorial_has_the_readmes_model() -> None:
    (first,), (second,) = ([b for b in blocks(page) if b.file == "classifier.py"] for page in (README, PACKAGE))
    assert first == second
