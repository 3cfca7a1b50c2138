"""Fixtures that the tests of bad input share: a good build that must survive, and the shape of every refusal."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from leftovers import contents_of


@pytest.fixture
def out(tmp_path, built) -> Path:
    """An output folder that holds a good build and a file of the user's."""
    folder = tmp_path / "results"
    shutil.copytree(built, folder)
    (folder / "notes.txt").write_text("mine")
    return folder


@pytest.fixture
def refuses(cli, out, temp_folder):
    """Runs a command that must be refused with one sentence that holds the words, and change nothing."""

    def run(*arguments: object, words: tuple[str, ...]) -> str:
        before = contents_of(out)
        ran = cli(*arguments)
        lines = [line for line in ran.err.splitlines() if line.strip()]
        assert (ran.code, ran.out) == (2, ""), ran.err
        assert [line for line in lines if line.startswith("Error: ")] == lines[-1:], ran.err
        assert "Traceback" not in ran.err
        assert contents_of(out) == before
        for word in words:
            assert word in lines[-1], ran.err
        return lines[-1]

    return run


@pytest.fixture
def refuses_build(refuses, out, digits, elsewhere):
    """The same for a build of the digits, with options added or in place of its own."""

    def run(*options: object, words: tuple[str, ...], source: object = digits.onnx, data: bool = True) -> str:
        base = ["build", source, "--profile", elsewhere.name, "--runtime", "onnxruntime", "--out", out]
        base += ["--precision", "int8", "--calibration", digits.calibration] if data else []
        return refuses(*base, *options, words=words)

    return run


@pytest.fixture
def npz(tmp_path, digits):
    """Writes the evaluation's arrays with some of them replaced, or left out."""

    def write(**arrays: object) -> Path:
        with np.load(digits.evaluation) as data:
            whole = {"image": data["image"][:20], "labels": data["labels"][:20], **arrays}
        path = tmp_path / "data.npz"
        np.savez(path, **{name: array for name, array in whole.items() if array is not None})
        return path

    return write
