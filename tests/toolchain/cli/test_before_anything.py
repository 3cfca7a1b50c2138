"""Requests that cannot be right are refused before the source is opened, or the model measured."""

from __future__ import annotations

import json
import subprocess
import sys
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
    words = ("has no array 'labels'; add one label per sample",)
    refuses_early("--evaluation", tmp_path / "s.npz", "--metric", "top1", words=words)


def test_a_calibration_table_that_is_none(refuses_early, tmp_path):
    (tmp_path / "t.json").write_text('{"method": "minmax", "samples": 1, "rages": {}}')
    refuses_early("--calibration-table", tmp_path / "t.json", words=("t.json", "rages"))


def test_a_limit_on_the_wrong_side(refuses_early, digits):
    options = ("--evaluation", digits.evaluation, "--budget", "accuracy<=0.9")
    refuses_early(*options, words=("a higher top1 is better, so write accuracy>=0.9",))


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ("accuracy>=97", "top1 ranges from 0 to 1; write accuracy>=0.97."),
        ("accuracy_drop<=2", "top1 ranges from 0 to 1; write accuracy_drop<=0.02."),
    ],
)
def test_a_limit_in_percent(refuses_early, digits, budget, words):
    refuses_early("--evaluation", digits.evaluation, "--budget", budget, words=(words,))


def test_a_limit_in_percent_of_closeness_to_the_source(refuses_early):
    refuses_early("--budget", "accuracy>=97", words=("parity ranges from 0 to 1; write accuracy>=0.97.",))


@pytest.mark.parametrize("others", [(), ("--precision", "fp32")])
def test_forgotten_samples(refuses_build, factory, others):
    options = ("--input", "image=float32[N,1,8,8]", "--precision", "int8", *others)
    words = ("int8 needs samples to observe ranges on; give --calibration FILE.npz.",)
    refuses_build(*options, source=factory, data=False, words=words)


def test_forgotten_samples_for_a_file(refuses_build):
    words = ("int8 needs samples to observe ranges on; give --calibration FILE.npz.",)
    refuses_build("--precision", "int8", data=False, words=words)


def test_arithmetic_that_no_runtime_of_the_device_has(refuses_build, factory, elsewhere):
    words = (
        f"There is nothing to try for {elsewhere.name}: onnxruntime has no bf16 arithmetic on {elsewhere.name}.",
        "bf16-storage makes the file smaller and computes in fp32.",
    )
    options = ("--input", "image=float32[N,1,8,8]", "--precision", "bf16")
    refuses_build(*options, source=factory, data=False, words=words)


def test_a_runtime_that_is_not_installed(factory, tmp_path):
    program = (
        "import sys; sys.modules['openvino'] = None\n"  # as Python finds a package that is not installed
        "from toolchain.cli import main\nmain()"
    )
    asked = ("build", factory, "--input", "x=float32[N,4]", "--profile", "x86-64-amx", "--runtime", "openvino")
    command = [sys.executable, "-c", program, *asked, "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "Error: There is nothing to try for x86-64-amx: The runtime 'openvino' needs the package 'openvino'; "
        "install it with: pip install 'edgewright[openvino]'\n"
    )
    assert not (tmp_path / "out").exists()


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
    gate_refuses("--budget", "accuracy<=0.9", words=("a higher top1 is better, so write accuracy>=0.9",))
    options = ("--budget", "accuracy<=0.9", "--evaluation", digits.evaluation)
    gate_refuses(*options, words=("a higher top1 is better, so write accuracy>=0.9",))
    gate_refuses("--budget", "accuracy>=97", words=("top1 ranges from 0 to 1; write accuracy>=0.97.",))


def test_a_gate_with_a_misspelt_metric(gate_refuses, digits):
    gate_refuses("--evaluation", digits.evaluation, "--metric", "top2", words=("Unknown metric 'top2'",))


def test_a_gate_whose_output_cannot_be_written(gate_refuses, tmp_path):
    (tmp_path / "file").write_text("")
    gate_refuses("--output", f"junit={tmp_path / 'file' / 'a.xml'}", words=("cannot be written", "with --output"))
    gate_refuses("--output", f"junit={tmp_path}", words=("Is a directory; give another file with --output.",))


def test_a_gate_whose_history_cannot_be_written(gate_refuses, tmp_path):
    words = (f"There is no folder '{tmp_path / 'no'}'", "make it first")
    gate_refuses("--history", tmp_path / "no" / "runs.sqlite", words=words)
    assert not (tmp_path / "no").exists()
    (tmp_path / "notes.sqlite").write_text("this is not a database, however long it is")
    gate_refuses("--history", tmp_path / "notes.sqlite", words=("cannot be used: file is not a database",))


def test_a_history_that_was_begun_for_a_gate_that_is_refused(gate_refuses, tmp_path):
    gate_refuses("--budget", "accuracy<=0.9", "--history", tmp_path / "new.sqlite", words=("a higher top1 is better",))
    assert not (tmp_path / "new.sqlite").exists()


def test_a_folder_that_is_not_there_is_not_made_for_a_job(gate_refuses, tmp_path):
    words = (f"There is no folder '{tmp_path / 'new'}'; make it first, or give another file with --output.",)
    gate_refuses("--output", f"json={tmp_path / 'new' / 'a.json'}", words=words)
    assert not (tmp_path / "new").exists()


def test_a_build_off_a_terminal_says_what_it_is_at_and_what_it_removed(cli, one_process, digits, elsewhere, tmp_path):
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
    assert f"Removed '{bundle}' of an earlier build: this one selected no candidate for {elsewhere.name}." in second.err
    assert not bundle.exists()
    assert "Removed" not in cli(*asked, "--budget", "size<=1B").err


def test_a_model_without_samples_says_that_it_was_timed_on_random_ones(cli, one_process, tmp_path):
    import tiny_models

    path: Path = tiny_models.double(tmp_path / "net.onnx", inputs="float[N,T] x")
    shown = cli("measure", path, "--duration", "0.05", "--format", "json")
    (caveat,) = json.loads(shown.out)["profiles"][0]["caveats"]
    assert caveat == (
        "No samples come with a source; latency is of random inputs, at default sizes: "
        "x=float32[N,T] as [8] per sample."
    )
