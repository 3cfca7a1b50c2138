"""Cost of `session.run` over ONNX Runtime's own run, per call, with checks, statistics and drift on.

    python -m benchmarks.session_overhead | tee benchmarks/results/session_overhead.txt

Both run the same model with the same options in this process, by blocks of calls that take turns; the ratio is the
median of those of neighbouring blocks, which share the machine's moods, with its 95% interval. The models have
random weights, on which latency does not depend.
"""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

import runtimes
from benchmarks.mobilenet import mobilenet_v2
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from hwbench.stats import intervals
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.tensors import Array
from toolchain.builders import onnxruntime as builder
from toolchain.models.onnx_model import open_model
from toolchain.packaging.pack import Contents, pack
from toolchain.recipes.recipe import Recipe

Call = Callable[[], object]


def main() -> None:
    """Measure every way of calling on every model and print the table."""
    print(f"{this_machine().cpu}, Python {platform.python_version()}, onnxruntime {version('onnxruntime')}, 1 thread\n")
    print(f"{'model':16}{'call':48}{'us':>10}{'us, p10':>10}  of raw [95% interval]")
    with tempfile.TemporaryDirectory() as folder:
        for name, model, calls, rounds in (
            ("relu, 64 floats", _relu(Path(folder, "relu.onnx")), 500, 300),
            ("MobileNetV2", mobilenet_v2(Path(folder, "mobilenet.onnx")), 2, 150),
        ):
            _compare(name, model, Path(folder), calls, rounds)


def _compare(name: str, model: Path, folder: Path, calls: int, rounds: int) -> None:
    spec = open_model(model).inputs[0]
    feeds = {spec.name: np.random.default_rng(0).standard_normal(spec.resolve({})).astype(np.float32)}
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    raw = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [tensor.name for tensor in raw.get_outputs()]
    run_options = ort.RunOptions()
    with runtimes.load(_pack(model, feeds, folder)) as session:
        out = session.run(feeds)
        ways: dict[str, Call] = {
            "onnxruntime: InferenceSession.run(None, feeds)": lambda: raw.run(None, feeds),
            "onnxruntime: the same, RunOptions kept": lambda: raw.run(names, feeds, run_options),
            "session.run(feeds)": lambda: session.run(feeds),
            "session.run(feeds, out)": lambda: session.run(feeds, out),
        }
        times = _interleaved(list(ways.values()), calls, rounds)
        assert session.stats().errors == 0
        assert session.stats().drift
    for way, samples in zip(ways, times):
        ratio = intervals.quantile(samples / times[0], 0.5)
        print(
            f"{name:16}{way:48}{np.median(samples) / 1e3:10.2f}{np.percentile(samples, 10) / 1e3:10.2f}"
            f"  {ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]",
            flush=True,
        )


def _interleaved(ways: Sequence[Call], calls: int, rounds: int) -> Array:
    """Mean nanoseconds per call: [ways, rounds]."""
    times = np.zeros((len(ways), rounds))
    for round_ in range(-3, rounds):  # three to warm up
        for index in np.random.default_rng(round_ + 3).permutation(len(ways)).tolist():
            call = ways[index]
            start = time.perf_counter_ns()
            for _ in range(calls):
                call()
            if round_ >= 0:
                times[index, round_] = (time.perf_counter_ns() - start) / calls
    return times


def _pack(model: Path, feeds: dict[str, Array], folder: Path) -> Path:
    """A bundle that records calibration, so that drift is watched."""
    artifact = builder.build(open_model(model), Recipe("fp32"), RuntimeSettings(1), folder)
    profile = device_profiles.detect(this_machine())
    path = folder / f"{model.stem}.edge"
    pack(Contents(model.stem, profile, artifact, Recipe("fp32"), {}, {}, calibration=feeds), path)
    return path


def _relu(path: Path) -> Path:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "relu",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


if __name__ == "__main__":
    main()
