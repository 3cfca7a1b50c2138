"""No command replaces a file that it reads: it is refused before anything is computed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click
import numpy as np
import pytest
import tiny_models

from runtimes import npz
from runtimes.__main__ import main as device
from runtimes.errors import UsageError
from runtimes.files import check_keeps
from toolchain.cli import edgewright
from toolchain.cli._input_files import _names_files

BUDGET = ("--budget", "p90<=10s")


@pytest.fixture
def files(tmp_path, built, built_bundle, digits, device_file) -> Path:
    """A folder with one file for each kind of input."""
    shutil.copy(built_bundle, tmp_path / "a.edge")
    shutil.copy(built_bundle, tmp_path / "b.edge")
    shutil.copy(built / "report.json", tmp_path / "report.json")
    shutil.copy(digits.onnx, tmp_path / "digits.onnx")
    shutil.copy(device_file, tmp_path / "bench.toml")
    shutil.copy(digits.evaluation, tmp_path / "data.npz")
    (tmp_path / "mine.py").write_text("def score(outputs, labels):\n    return 1.0\n")
    (tmp_path / "key.pem").write_text("secret")
    (tmp_path / "folder").mkdir()
    npz.write(tmp_path / "folder" / "0.npz", {"image": np.zeros((1, 8, 8), np.float32)})
    (tmp_path / "edgewright.toml").write_text('source = "digits.onnx"\nruntime = ["onnxruntime"]\n')
    return tmp_path


def refused(cli, monkeypatch, *arguments: object) -> str:
    def computed(*_: object, **__: object) -> None:
        raise AssertionError("it computed first")

    for name in ("hwbench.targets.local.LocalTarget.sample", "toolchain.sources.open_source.exporter"):
        monkeypatch.setattr(name, computed)
    ran = cli(*arguments)
    assert (ran.code, ran.out) == (2, ""), ran.err
    assert "must not be replaced" in ran.err, ran.err
    return ran.err


@pytest.mark.parametrize(
    ("command", "option", "outputs"),
    [
        ("sign a.edge --key key.pem", "--out ", ["key.pem"]),
        (
            "calibrate digits.onnx --calibration folder --evaluation data.npz",
            "--out ",
            ["digits.onnx", "data.npz", "folder/0.npz"],
        ),
        ("calibrate digits.onnx --calibration mine.py:score", "--out ", ["mine.py"]),
        ("calibrate mine:score --calibration data.npz", "--out ", ["mine.py"]),
        ("measure a.edge --evaluation data.npz --metric mine.py:score", "--out ", ["a.edge", "data.npz", "mine.py"]),
        ("measure digits.onnx --profile bench.toml", "--out ", ["digits.onnx", "bench.toml"]),
        (
            "gate a.edge --baseline b.edge --evaluation data.npz --metric mine.py:score",
            "--output json=",
            ["a.edge", "b.edge", "data.npz", "mine.py"],
        ),
        ("gate report.json", "--output json=", ["report.json"]),
        ("history runs.sqlite", "--plot ", ["runs.sqlite"]),
        ("history sqlite:///runs.sqlite", "--plot ", ["runs.sqlite"]),
    ],
)
def test_an_output_is_none_of_the_inputs(cli, files, monkeypatch, command, option, outputs):
    monkeypatch.chdir(files)
    (files / "runs.sqlite").touch()
    before = {file: file.read_bytes() for file in files.rglob("*") if file.is_file()}
    for output in outputs:
        link = files / "link"
        link.unlink(missing_ok=True)
        link.symlink_to(files / output)
        for name in (output, f"../{files.name}/{output}", "link"):
            budget = BUDGET if command.startswith("gate") else ()
            refused(cli, monkeypatch, *command.split(), *budget, *f"{option}{name}".split())
    assert before == {file: file.read_bytes() for file in before}


@pytest.mark.parametrize(
    ("read", "written"),
    [
        ("digits.onnx", "report.json"),
        ("digits.onnx", "digits-bench.edge"),
        ("bench.toml", "report.html"),
        ("data.npz", "report.html"),
        ("edgewright.toml", "report.json"),
    ],
)
def test_a_build_follows_no_link_to_what_it_reads(cli, files, monkeypatch, read, written):
    monkeypatch.chdir(files)
    (files / "out").mkdir()
    (files / "out" / written).symlink_to(files / read)
    before = (files / read).read_bytes()
    source = "edgewright.toml" if read == "edgewright.toml" else "digits.onnx"
    refused(cli, monkeypatch, "build", source, "--profile", "bench.toml", "--evaluation", "data.npz", "--out", "out")
    assert (files / read).read_bytes() == before


def test_the_weights_beside_a_model_are_read_too(cli, files, monkeypatch):
    tiny_models.external(files / "net.onnx")
    weights = (files / "weights.data").read_bytes()
    command = ("calibrate", files / "net.onnx", "--calibration", files / "data.npz", "--out", files / "weights.data")
    refused(cli, monkeypatch, *command)
    assert (files / "weights.data").read_bytes() == weights


def test_two_outputs_are_two_files(cli, files, monkeypatch):
    twice = ("--output", f"json={files / 'x'}", "--output", f"csv={files / 'x'}")
    ran = cli("gate", files / "report.json", *BUDGET, *twice)
    assert ran.code == 2
    assert "is written twice" in ran.err
    assert not (files / "x").exists()
    null = ("--output", f"json={os.devnull}", "--output", f"csv={os.devnull}")
    assert cli("gate", files / "report.json", *BUDGET, *null).code == 0


def test_a_device_writes_no_output_over_what_it_reads(files, capfd):
    before = (files / "data.npz").read_bytes(), (files / "a.edge").read_bytes()
    for command, option in (("run", "--outputs"), ("sample", "--out")):
        for output in ("data.npz", "a.edge", "key.pem"):
            read = (str(files / "a.edge"), "--inputs", str(files / "data.npz"), "--public-key", str(files / "key.pem"))
            assert device([command, *read, option, str(files / output)]) == 2
            assert "must not be replaced" in capfd.readouterr().err
    assert before == ((files / "data.npz").read_bytes(), (files / "a.edge").read_bytes())


def test_a_file_that_is_not_there_yet_and_a_pipe(tmp_path):
    with pytest.raises(UsageError, match="must not be replaced"):
        check_keeps(tmp_path / "new", [tmp_path / "." / "new"], "--out")
    os.mkfifo(tmp_path / "pipe")
    check_keeps(tmp_path / "pipe", [tmp_path / "pipe"], "--out")


def test_every_option_that_takes_a_file_counts():
    """An option of another type whose help names a FILE would not."""
    outputs = {"outputs"}  # of gate: FORMAT=FILE
    context = click.Context(edgewright)
    for name in edgewright.list_commands(context):
        command = edgewright.get_command(context, name)
        assert command is not None
        for param in command.params:
            metavar = param.make_metavar(click.Context(command))
            assert "FILE" not in metavar or _names_files(param) or param.name in outputs, (name, param.name)
