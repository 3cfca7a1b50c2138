"""--state on the command line and in edgewright.toml."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import step_models

INPUTS = ("--input", "x=float32[N,8]", "--input", "hidden=float32[N,16]")


def test_calibrate_takes_sequences(tmp_path: Path, cli) -> None:
    samples = step_models.write_sequences(tmp_path / "samples.npz", "x", [3, 9, 1])
    out = tmp_path / "table.json"
    arguments = ("--state", "next=hidden", "--calibration", str(samples), "--out", str(out))
    ran = cli("calibrate", "step_models:cell", *INPUTS, *arguments)
    assert ran.code == 0, ran.err
    table = json.loads(out.read_text())
    assert table["samples"] == 13  # steps
    low, high = table["ranges"]["hidden"].values()
    assert -1 < low < 0 < high < 1  # what the cell returned, and no random numbers


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--state", "next"), "State 'next' cannot be read; write it as OUTPUT=INPUT, like present=past."),
        (("--state", "a=hidden", "--state", "b=hidden"), "the input 'hidden' takes the output 'a' already"),
        (("--state", "after=hidden"), "--state after=hidden: the model has no output 'after', only scores, next."),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, cli, arguments: tuple[str, ...], words: str) -> None:
    ran = cli("build", "step_models:cell", *INPUTS, *arguments, "--out", str(tmp_path / "out"))
    assert ran.code == 2
    assert words in ran.err
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_configuration_file_lists_states(tmp_path: Path, cli) -> None:
    np.savez(tmp_path / "samples.npz", x=np.zeros((2, 3, 8), np.float32))
    (tmp_path / "edgewright.toml").write_text(
        'source = "step_models:cell"\ninput = ["x=float32[N,8]", "hidden=float32[N,16]"]\nstate = ["after=hidden"]\n'
    )
    ran = cli("build", str(tmp_path / "edgewright.toml"), "--out", str(tmp_path / "out"))
    assert ran.code == 2
    assert "--state after=hidden: the model has no output 'after'" in ran.err
