"""Eight threads on one session for a minute, and two thousand loads and closes: wrong answers, and memory's trend.

    python -m benchmarks.hammer [SECONDS] | tee benchmarks/results/hammer.txt

Resident memory is read as it goes; its trend is the least-squares slope over the second half, when pools are filled.
"""

from __future__ import annotations

import contextlib
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

import runtimes
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.inference.session import Session
from runtimes.sampling.peak_memory import resident_bytes
from runtimes.tensors import Array
from toolchain.builders import onnxruntime as builder
from toolchain.models.onnx_model import open_model
from toolchain.packaging.pack import Contents, pack
from toolchain.recipes.recipe import Recipe

Run = Callable[[dict[str, Array], "dict[str, Array] | None"], dict[str, Array]]

_THREADS = 8
_INPUTS = 16
_LOADS = 2000


def main(seconds: float) -> None:
    """Hammer a small model of fixed shape (bound buffers) and one of a dynamic batch (ORT's own run)."""
    print(f"{this_machine().cpu}, {this_machine().cores} cores, Python {platform.python_version()}, ", end="")
    print(f"onnxruntime {version('onnxruntime')}\n")
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        for name, batch in (("dynamic batch", "N"), ("fixed shape, bound buffers", 1)):
            bundle, weights = pack_layer(Path(folder), batch)
            with runtimes.load(bundle) as session:
                _hammer(name, session.run, weights, seconds)
                stats = session.stats()
            assert stats.p99_ns is not None
            print(f"  session.stats(): {stats.calls:,} calls, {stats.errors} errors, p99 {stats.p99_ns / 1e3:.0f} us")
        model = (Path(folder) / "layer.onnx").read_bytes()
        raw = ort.InferenceSession(model, options)
        _hammer("onnxruntime alone, fixed shape", lambda feeds, _: {"y": raw.run(None, feeds)[0]}, weights, seconds)
        _load_and_close("runtimes", lambda: runtimes.load(bundle))
        _load_and_close("onnxruntime alone", lambda: contextlib.nullcontext(ort.InferenceSession(model, options)))


def _hammer(name: str, run: Run, weights: Array, seconds: float) -> None:
    inputs = np.random.default_rng(1).standard_normal((_INPUTS, 1, 64)).astype(np.float32)
    expected = np.maximum(inputs @ weights, 0)
    calls, wrong, stop = [0] * _THREADS, [0] * _THREADS, threading.Event()

    def work(thread: int) -> None:
        out = {"y": np.zeros((1, 32), np.float32)}
        rng = np.random.default_rng(thread)
        while not stop.is_set():
            for index in rng.integers(0, _INPUTS, 200).tolist():
                y = run({"x": inputs[index]}, out if index % 4 == 0 else None)["y"]
                wrong[thread] += not np.allclose(y, expected[index], rtol=1e-4, atol=1e-5)
                calls[thread] += 1

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(_THREADS)]
    for thread in threads:
        thread.start()
    trend = _watch(lambda: time.sleep(0.2), lambda elapsed: elapsed < seconds, "second")
    stop.set()
    for thread in threads:
        thread.join()
    print(f"{name}: {_THREADS} threads, {seconds:g} s, {sum(calls):,} calls, {sum(wrong)} wrong; {trend}", flush=True)


def _load_and_close(name: str, load: Callable[[], AbstractContextManager[Any]]) -> None:
    feeds = {"x": np.zeros((1, 64), np.float32)}
    left = iter(range(_LOADS))

    def once() -> None:
        with load() as session:
            session.run(feeds) if isinstance(session, Session) else session.run(None, feeds)

    trend = _watch(once, lambda _: next(left, None) is not None, "load")
    print(f"{name}: {_LOADS:,} loads, runs and closes: {trend}", flush=True)


def _watch(step: Callable[[], object], goes_on: Callable[[float], bool], unit: str) -> str:
    """Resident memory while `step` is repeated, in words."""
    start, at, resident = time.perf_counter(), [], []
    while goes_on(time.perf_counter() - start):
        step()
        at.append(time.perf_counter() - start if unit == "second" else float(len(at)))
        resident.append(resident_bytes() or 0)
    half = len(at) // 2
    slope = np.polyfit(at[half:], resident[half:], 1)[0] / 1024
    first, last = resident[half] / 2**20, resident[-1] / 2**20
    return f"resident {first:.1f} MiB half way, {last:.1f} MiB at the end, trend {slope:+.3f} KiB per {unit}"


def pack_layer(folder: Path, batch: int | str) -> tuple[Path, Array]:
    """relu(x @ weights) as a bundle that records calibration, and the weights."""
    weights = np.random.default_rng(0).normal(0, 0.2, (64, 32)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])],
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 32])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = folder / "layer.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), model)
    artifact = builder.build(open_model(model), Recipe("fp32"), RuntimeSettings(1), folder)
    seen = {"x": np.random.default_rng(2).standard_normal((100, 64)).astype(np.float32)}
    bundle = folder / f"layer-{batch}.edge"
    profile = device_profiles.detect(this_machine())
    pack(Contents("layer", profile, artifact, Recipe("fp32"), {}, {}, calibration=seen), bundle)
    return bundle, weights


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60)
