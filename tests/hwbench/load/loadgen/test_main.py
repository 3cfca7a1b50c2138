"""`python -m hwbench.load.loadgen`, called in this process: what it writes of a real bundle."""

from __future__ import annotations

import json
from importlib import metadata

import numpy as np
import pytest

from hwbench.load.loadgen.load_plan import Loaded, LoadPlan
from runtimes.backends import onnxruntime
from runtimes.codec import decode, encode
from runtimes.sampling.closed_loop import SamplingPlan

pytest.importorskip("mlperf_loadgen", reason="LoadGen is not installed (extra loadgen)")
from hwbench.load.loadgen import __main__ as loadgen

PLAN = SamplingPlan(min_runs=5, max_runs=50, duration_s=0.02, warmup_limit_s=0.1)


@pytest.fixture
def measure(bundle, images, tmp_path):
    def run(plan):
        np.savez(tmp_path / "x.npz", image=images)
        arguments = [bundle, "--inputs", tmp_path / "x.npz", "--out", tmp_path / "loaded.json"]
        assert loadgen.main([*map(str, arguments), "--plan", json.dumps(encode(plan))]) == 0
        return decode(Loaded, json.loads((tmp_path / "loaded.json").read_text()), "loaded")

    return run


@pytest.mark.parametrize(("serial", "workers"), [(True, 1), (False, 3)])
def test_a_runtime_that_lets_in_one_at_a_time_has_one_worker(measure, monkeypatch, serial, workers):
    monkeypatch.setattr(onnxruntime._OrtSession, "serial", serial)
    loaded = measure(LoadPlan("offline", PLAN, workers=3))
    assert loaded.workers == workers
    assert len(loaded.block.samples_ns) >= 5 * workers


def test_what_reading_the_trace_takes_is_not_the_models_memory(measure, monkeypatch):
    order = []
    for name in ("resident_bytes", "peak_bytes", "drive", "read"):
        call = getattr(loadgen, name)
        monkeypatch.setattr(loadgen, name, lambda *given, name=name, call=call: order.append(name) or call(*given))
    measure(LoadPlan("server", PLAN, target_per_s=1_000.0))
    assert order == ["resident_bytes", "drive", "peak_bytes", "resident_bytes", "read"]


@pytest.mark.parametrize("together", [1, 4])
def test_the_warm_up_is_every_inference_before_the_load_and_the_first_is_the_sessions_first(
    measure, monkeypatch, together
):
    calls, drive = [], loadgen.drive

    def count(session, *given):
        calls.append(session.stats().calls)
        return drive(session, *given)

    monkeypatch.setattr(loadgen, "drive", count)
    assert calls == [len(measure(LoadPlan("multi_stream", PLAN, samples=together)).block.warmup_ns)]


def test_loadgen_built_from_its_source_has_no_version_and_measures_all_the_same(measure, monkeypatch):
    version = metadata.version

    def missing(name):
        if name == "mlcommons-loadgen":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", missing)
    environment = measure(LoadPlan("multi_stream", PLAN, samples=2)).block.environment
    assert "mlcommons-loadgen" not in environment and environment["onnxruntime"]


def test_a_plan_that_is_not_json_is_one_sentence(bundle, tmp_path, capsys):
    arguments = [str(bundle), "--inputs", "x.npz", "--out", str(tmp_path / "loaded.json"), "--plan", "{"]
    assert loadgen.main(arguments) == 2
    assert capsys.readouterr().err.startswith("Error: --plan is not JSON: ")
    assert not list(tmp_path.iterdir())
