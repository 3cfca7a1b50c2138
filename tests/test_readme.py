"""The README's and the tutorials' own blocks, run as a reader would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import known_peaks
import pytest
from documents import ROOT, blocks

README = ROOT / "README.md"
TUTORIALS = ROOT / "docs/tutorials"
# One after another in one folder: what a document repeats of those before it is not run again.
RUN = (
    README,
    TUTORIALS / "package-a-model.md",
    TUTORIALS / "run-on-a-device.md",
    TUTORIALS / "benchmark-hardware.md",
    TUTORIALS / "gate-in-ci.md",
    ROOT / "docs/how-to/sign-bundles.md",
)


# The command `edgewright`, whose models run in its own process: the demo shows that they run in processes of theirs.
EDGEWRIGHT = f"""#!{sys.executable}
import sys
from toolchain.cli import main
if sys.argv[1] in ("build", "gate", "measure"):
    sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests/helpers")!r}]
    import one_process, pytest
    one_process.install(pytest.MonkeyPatch())
main()
"""


class Reader:
    """A reader's folder, in which commands are run once."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self._path = [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
        self._done: set[str] = set()

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env={**os.environ, "PATH": os.pathsep.join(self._path)},
            capture_output=True,
            text=True,
            check=False,
        )

    def follow(self, command: str) -> None:
        """Run a command, which gives the exit code that its comment promises."""
        line = " ".join(command.split())
        if line in self._done or line.startswith("make "):  # which would run this test inside itself
            return
        self._done.add(line)
        promised = re.search(r"# exit code (\d)", command)
        done = self.run(command)
        assert done.returncode == int(promised[1] if promised else 0), f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """A reader after `make demo`; the machine's peaks are known, since `test_machine_peaks.py` measures them."""
    known_peaks.remember()
    programs = tmp_path_factory.mktemp("programs")
    reader = Reader(tmp_path_factory.mktemp("reader"), programs)
    reader.follow("edgewright demo --out out/demo")
    (programs / "edgewright").write_text(EDGEWRIGHT)
    (programs / "edgewright").chmod(0o755)
    return reader


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("document", RUN, ids=lambda path: path.stem)
def test_every_block_does_what_the_document_says(document: Path, reader: Reader) -> None:
    """A reader saves the files that blocks name, and runs the commands and the rest of the Python."""
    for number, block in enumerate(blocks(document)):
        if block.file is not None:
            (reader.folder / block.file).write_text(block.text)
        elif block.language == "python" and block.text.startswith("import"):
            (reader.folder / f"block{number}.py").write_text(block.text)
            reader.follow(f"python block{number}.py")
        elif block.language == "sh":
            for command in block.commands:
                reader.follow(command)


@pytest.mark.timeout(1200)
def test_the_tutorials_pytest_fixture_gates(reader: Reader) -> None:
    (block,) = (block for block in blocks(TUTORIALS / "gate-in-ci.md") if block.file == "test_model.py")
    (reader.folder / "test_model.py").write_text(block.text)
    done = reader.run("python -m pytest -q -p no:cacheprovider --rootdir . test_model.py")
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout


def test_the_documents_have_the_blocks_we_think_they_have() -> None:
    assert {block.language for block in blocks(README)} == {"sh", "python"}
    for document in RUN:
        assert sum(len(block.commands) for block in blocks(document) if block.language == "sh") >= 3, document
    assert re.findall(r"# exit code (\d)", (TUTORIALS / "gate-in-ci.md").read_text()) == list("0123")


def test_the_tutorial_has_the_readmes_model() -> None:
    first, second = (
        [block for block in blocks(page) if block.file == "classifier.py"]
        for page in (README, TUTORIALS / "package-a-model.md")
    )
    assert len(first) == 1 and first == second
