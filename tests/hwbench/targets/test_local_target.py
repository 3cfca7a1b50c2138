"""Child processes that do their work, fail, crash and hang."""

from __future__ import annotations

import dataclasses
import sys
import time

import numpy as np
import pytest

from hwbench.targets import local
from hwbench.targets.local import LocalTarget
from runtimes.errors import BackendError
from runtimes.sampling.closed_loop import SamplingPlan

PLAN = SamplingPlan(min_runs=20, duration_s=0.05)


@pytest.fixture
def inputs(tmp_path):
    np.savez(tmp_path / "inputs.npz", x=np.ones((3, 4), np.float32))
    return tmp_path / "inputs.npz"


@pytest.fixture
def interpreter(tmp_path, monkeypatch):
    """Puts a shell script in the place of Python."""

    def put(script):
        file = tmp_path / "python"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(file))

    return put


def failure(call, *arguments):
    with pytest.raises(BackendError) as caught:
        call(*arguments)
    return str(caught.value)


def test_run_writes_the_outputs(pack_linear, inputs, tmp_path):
    LocalTarget().run(pack_linear(tmp_path / "linear.edge"), inputs, tmp_path / "outputs.npz")
    with np.load(tmp_path / "outputs.npz") as archive:
        assert archive["y"].tolist() == [[2, 2, 2]] * 3


def test_sample_gives_a_block_as_long_as_the_plan_says(pack_linear, inputs, tmp_path):
    bundle = pack_linear(tmp_path / "linear.edge")
    block = LocalTarget().sample(bundle, inputs, SamplingPlan(min_runs=20, max_runs=25, duration_s=60))
    assert len(block.samples_ns) == 25
    assert min(block.samples_ns) > 0
    assert block.warmup_ns
    assert block.load_ns > 0
    if sys.platform == "linux":
        assert block.idle_memory_bytes is not None and block.peak_memory_bytes is not None
        assert 10_000_000 < block.idle_memory_bytes < block.peak_memory_bytes


def test_a_bundle_of_another_machine_is_run_all_the_same(pack_linear, local_profile, inputs, tmp_path):
    other = "aarch64" if local_profile.arch == "x86_64" else "x86_64"
    bundle = pack_linear(tmp_path / "other.edge", profile=dataclasses.replace(local_profile, arch=other))
    LocalTarget().run(bundle, inputs, tmp_path / "outputs.npz")
    assert (tmp_path / "outputs.npz").exists()


def test_the_runtimes_own_text_is_passed_on(pack_linear, inputs, tmp_path):
    bundle = pack_linear(tmp_path / "broken.edge", model=b"these bytes are no model")
    for call in (
        lambda: LocalTarget().run(bundle, inputs, tmp_path / "o.npz"),
        lambda: LocalTarget().sample(bundle, inputs, PLAN),
    ):
        message = failure(call)
        assert message.startswith("ONNX Runtime cannot load 'artifact/broken.onnx': ")
        assert "INVALID_PROTOBUF" in message or "Protobuf parsing failed" in message
        assert "Traceback" not in message
    assert not (tmp_path / "o.npz").exists()


def test_inputs_that_do_not_fit_are_told(pack_linear, tmp_path):
    np.savez(tmp_path / "wrong.npz", image=np.ones((3, 4), np.float32))
    message = failure(
        LocalTarget().run, pack_linear(tmp_path / "linear.edge"), tmp_path / "wrong.npz", tmp_path / "o.npz"
    )
    assert "'x'" in message and "image" in message


def test_a_process_that_dies_of_a_signal_is_told_with_its_last_words(interpreter, tmp_path):
    interpreter("echo first >&2; echo second >&2; echo third >&2; echo corrupted size vs. prev_size >&2; kill -SEGV $$")
    message = failure(LocalTarget().run, tmp_path / "b", tmp_path / "i", tmp_path / "o")
    assert message == (
        "The process that runs the model died of signal 11. It said: second | third | corrupted size vs. prev_size"
    )
    interpreter("kill -KILL $$")
    assert failure(LocalTarget().sample, tmp_path / "b", tmp_path / "i", PLAN) == (
        "The process that runs the model died of signal 9."
    )


def test_a_run_that_hangs_is_killed_at_its_limit(interpreter, tmp_path):
    interpreter("echo waiting for the license server >&2; exec sleep 60")
    start = time.monotonic()
    message = failure(LocalTarget(run_limit_s=0.5).run, tmp_path / "b", tmp_path / "i", tmp_path / "o")
    assert message == (
        "The process that runs the model hung: no answer in 0.5 s. It said: waiting for the license server"
    )
    assert time.monotonic() - start < 50


def test_a_block_that_hangs_is_killed_when_its_plan_is_long_over(interpreter, tmp_path, monkeypatch):
    interpreter("exec sleep 60")
    monkeypatch.setattr(local, "_STARTUP_S", 0.1)
    plan = SamplingPlan(warmup_limit_s=0.1, time_limit_s=0.05)
    message = failure(LocalTarget().sample, tmp_path / "b", tmp_path / "i", plan)
    assert "hung: no answer in 0.3 s" in message


@pytest.mark.parametrize(
    ("script", "message"),
    [
        pytest.param("echo 'Error: no such device' >&2; exit 2", "no such device", id="an-error-of-ours"),
        pytest.param("exit 7", "The process that runs the model ended with exit code 7.", id="silence"),
        pytest.param("printf 'bad \\377 byte' >&2; exit 1", "bad \N{REPLACEMENT CHARACTER} byte", id="no-utf-8"),
    ],
)
def test_a_process_that_fails_is_told_by_what_it_said(interpreter, tmp_path, script, message):
    interpreter(script)
    assert failure(LocalTarget().run, tmp_path / "b", tmp_path / "i", tmp_path / "o") == message


def test_long_last_words_are_cut_from_the_front(interpreter, tmp_path):
    interpreter("i=0; while [ $i -lt 500 ]; do echo line $i >&2; i=$((i+1)); done; exit 1")
    message = failure(LocalTarget().run, tmp_path / "b", tmp_path / "i", tmp_path / "o")
    assert message.endswith("line 499")
    assert len(message) <= 1000


def test_what_a_process_prints_is_not_mixed_with_results(interpreter, tmp_path, capfd):
    interpreter("echo noise; echo more >&2; exit 0")
    LocalTarget().run(tmp_path / "b", tmp_path / "i", tmp_path / "o")
    assert capfd.readouterr() == ("", "")
