"""What cannot be right is refused before the source is opened, or the model measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def factory(tmp_path) -> str:
    """A source that must not be opened."""
    (tmp_path / "net.py").write_text("def make():\n    raise SystemExit('the source was opened')\n")
    return f"{tmp_path / 'net.py'}:make"


@pytest.fixture
def refuses_early(refuses_build, factory, digits):
    """Runs a build of the factory, whose input is the digits'."""

    def run(*options: object, words: tuple[str, ...]) -> None:
        refuses_build("--input", "image=float32[N,1,8,8]", *options, source=factory, words=words)

    return run


def test_a_misspelt_metric(refuses_early, digits):
    refuses_early("--evaluation", digits.evaluation, "--metric", "top2", words=("Unknown metric 'top2'; choose from",))


def test_a_metric_without_samples(refuses_early):
    refuses_early("--metric", "top1", words=("needs labelled samples; give --evaluation",))


@pytest.mark.parametrize("option", ["--calibration", "--evaluation"])
def test_a_misspelt_array(refuses_early, tmp_path, option):
    np.savez(tmp_path / "s.npz", images=np.zeros((2, 1, 8, 8), np.float32), labels=np.zeros(2, int))
    words = (
        "s.npz' has no array 'image', which --input image=float32[N,1,8,8] describes; the file holds images, labels",
    )
    refuses_early(option, tmp_path / "s.npz", words=words)


def test_missing_labels(refuses_early, tmp_path):
    np.savez(tmp_path / "s.npz", image=np.zeros((2, 1, 8, 8), np.float32))
    words = ("has no array 'labels'; put one entry per sample beside the inputs",)
    refuses_early("--evaluation", tmp_path / "s.npz", "--metric", "top1", words=words)


def test_a_calibration_table_that_is_none(refuses_early, tmp_path):
    (tmp_path / "t.json").write_text('{"method": "minmax", "samples": 1, "rages": {}}')
    refuses_early("--calibration-table", tmp_path / "t.json", words=("t.json", "rages"))


def test_a_limit_on_the_wrong_side(refuses_early, digits):
    options = ("--evaluation", digits.evaluation, "--budget", "accuracy<=0.9")
    refuses_early(*options, words=("more is better of top1, so write accuracy>=0.9",))


@pytest.fixture
def gate_refuses(refuses, built_bundle, monkeypatch):
    """Runs a gate that must not measure."""

    def run(*options: object, words: tuple[str, ...]) -> None:
        def measured(*_: object) -> None:
            raise AssertionError("it measured first")

        monkeypatch.setattr("hwbench.targets.local.LocalTarget.sample", measured)
        monkeypatch.setattr("hwbench.targets.local.LocalTarget.run", measured)
        refuses("gate", built_bundle, "--budget", "p90<=1s", *options, words=words)

    return run


def test_a_gate_with_a_limit_on_the_wrong_side(gate_refuses, digits):
    gate_refuses("--budget", "accuracy<=0.9", words=("more is better of top1, so write accuracy>=0.9",))
    options = ("--budget", "accuracy<=0.9", "--evaluation", digits.evaluation)
    gate_refuses(*options, words=("more is better of top1, so write accuracy>=0.9",))


def test_a_gate_with_a_misspelt_metric(gate_refuses, digits):
    gate_refuses("--evaluation", digits.evaluation, "--metric", "top2", words=("Unknown metric 'top2'",))


def test_a_gate_whose_output_cannot_be_written(gate_refuses, tmp_path):
    (tmp_path / "file").write_text("")
    gate_refuses("--output", f"junit={tmp_path / 'file' / 'a.xml'}", words=("cannot be written to", "with --output"))
    gate_refuses("--output", f"junit={tmp_path}", words=("is a folder or a device; give a file",))
    gate_refuses("--output", "junit=/dev/null", words=("is a folder or a device; give a file",))


def test_a_gate_whose_history_cannot_be_written(gate_refuses, tmp_path):
    gate_refuses("--history", tmp_path / "no" / "runs.sqlite", words=("cannot be used: unable to open database file",))
    (tmp_path / "notes.sqlite").write_text("this is not a database, however long it is")
    gate_refuses("--history", tmp_path / "notes.sqlite", words=("cannot be used: file is not a database",))


def test_a_history_that_was_begun_for_a_gate_that_is_refused(gate_refuses, tmp_path):
    gate_refuses("--budget", "accuracy<=0.9", "--history", tmp_path / "new.sqlite", words=("more is better",))
    assert not (tmp_path / "new.sqlite").exists()


def test_a_folder_for_the_output_is_made(cli, built, tmp_path):
    made = tmp_path / "new" / "a.json"
    assert cli("gate", built / "report.json", "--budget", "p90<=1s", "--output", f"json={made}").code == 0
    assert json.loads(made.read_text())["schema_version"] == 1


def test_a_build_off_a_terminal_says_what_it_is_at_and_what_it_removed(cli, digits, elsewhere, tmp_path):
    asked = ("build", digits.onnx, "--profile", elsewhere.name, "--runtime", "onnxruntime", "--precision", "fp32")
    asked += ("--evaluation", digits.evaluation, "--out", tmp_path)
    first = cli(*asked, "--budget", "accuracy>=0.5")
    assert first.code == 0
    phases = [f"Opening {digits.onnx}", "Running the source, to compare with", f"{elsewhere.name}: make candidates"]
    assert first.err.splitlines()[:3] == phases
    bundle = tmp_path / f"digits-{elsewhere.name}.edge"
    assert bundle.is_file()
    second = cli(*asked, "--budget", "size<=1B")
    assert second.code == 1
    assert f"Removed '{bundle}' of an earlier build: this one chose no candidate for {elsewhere.name}." in second.err
    assert not bundle.exists()
    assert "Removed" not in cli(*asked, "--budget", "size<=1B").err


def test_a_model_without_samples_says_that_it_was_timed_on_random_ones(cli, tmp_path):
    import tiny_models

    path: Path = tiny_models.double(tmp_path / "net.onnx", inputs="float[N,T] x")
    shown = cli("measure", path, "--duration", "0.05", "--format", "json")
    (caveat,) = json.loads(shown.out)["fields"][0]["caveats"]
    assert caveat == (
        "No samples come with a bare model; latency is of random inputs, at sizes of our own: "
        "x=float32[N,T] as [8] a sample."
    )
