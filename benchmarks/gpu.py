"""Everything that takes an NVIDIA GPU, in one command: the tests marked `gpu`, then latency beside the peers.

    python -m benchmarks.gpu [MODEL...] | tee benchmarks/results/gpu.txt

The latency of one inference at batch 1, host to host, of tensorrt (or tensorrt-rtx where that is what is installed),
ONNX Runtime on CUDA, and PyTorch eager and compiled where the model is a module, in rounds that alternate; beside them
the bare `execute_async_v3`, the engine's parts by CUDA events, and building with and without kernel times. What is not
installed is a line that says so. Without a card, one sentence says so and nothing is run.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwbench.data import dataset
from hwbench.machine import device_profiles, gpu_state, gpu_timing
from hwbench.machine.identity import this_machine
from runtimes import plugins, samples
from runtimes.backends import onnxruntime as ort_backend
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import EdgewrightError, NotInstalledError, UnsupportedError
from runtimes.tensorrt.build_engine import build
from runtimes.tensorrt.cuda._choice import open_memory
from runtimes.tensorrt.engine_session import EngineSession
from runtimes.tensors import Feeds
from toolchain.builders import _engine
from toolchain.builders import onnxruntime as onnx_builder
from toolchain.engines.planner import plan_engine
from toolchain.models.onnx_model import OnnxModel, open_model
from toolchain.recipes.recipe import Recipe

ROOT = Path(__file__).parents[1]
_ROUNDS, _RUNS, _WARMUP = 6, 200, 50


def main(names: list[str]) -> int:
    """Run the tests, print their table, and measure; exit code 1 where a test or a model failed, 2 without a card."""
    try:
        memory = open_memory()
    except (UnsupportedError, NotInstalledError) as error:
        print(f"Error: nothing was run, since all of it needs an NVIDIA GPU: {error}", file=sys.stderr)
        return 2
    failed = run_tests()
    print(f"\n{memory.name}, compute capability {memory.compute_capability}, CUDA {memory.cuda}\n")
    for name in names or ["efficientnet"]:
        try:
            _measure(name, memory)
        except EdgewrightError as error:  # no TensorRT here, or none for this card
            print(f"{name:14}not measured: {error}")
            failed = 1
    return failed


class _Outcomes:
    """Collects what came of each test."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str]] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.outcome != "passed":
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            text = str(reason or report.longrepr or "").strip().splitlines()
            self.rows.append(
                (report.nodeid.partition("::")[2], report.outcome, text[-1].removeprefix("Skipped: ") if text else "")
            )


def run_tests() -> int:
    """Run the tests that need a card, and print what came of each; exit code 1 if one failed, or none was found."""
    outcomes = _Outcomes()
    # This module imported hwbench, whose plug-in for gates pytest would rewrite.
    quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning", "-o", "addopts=", "--import-mode=importlib"]
    quiet += ["-p", "no:terminal", "-p", "no:cacheprovider"]
    pytest.main(["-m", "gpu", str(ROOT / "tests" / "gpu"), *quiet], [outcomes])
    for name, outcome, why in outcomes.rows:
        print(f"{outcome:8} {name}{f': {why}' if why else ''}")
    counts = Counter(outcome for _, outcome, _ in outcomes.rows)
    print(f"\n{this_machine().cpu}: " + (", ".join(f"{n} {outcome}" for outcome, n in counts.items()) or "no tests"))
    return 1 if counts["failed"] or not outcomes.rows else 0


def _measure(name: str, memory: Any) -> None:
    zoo = importlib.import_module(f"benchmarks.zoo.{name}").prepare()
    model = open_model(zoo.onnx)
    arrays = dataset.read(zoo.evaluation, model.inputs, labels=True).arrays
    feeds = [feed for feed, _ in zip(samples.feeds(model.inputs, arrays), range(8))]
    rivals: dict[str, Callable[[Feeds], object]] = {}
    with _engine_session(model, memory) as session:
        rivals["edgewright"] = session.run
        rivals["bare execute_async_v3"] = _bare(session, memory)
        _add(rivals, "ONNX Runtime CUDA", lambda: _onnxruntime(model))
        _add(rivals, "torch eager", lambda: _torch(name, compiled=False))
        _add(rivals, "torch.compile", lambda: _torch(name, compiled=True))
        for label, medians in _rounds(rivals, feeds).items():
            print(f"{name:14}{label:24}{np.median(medians):9.4f} ms  [{min(medians):.4f}, {max(medians):.4f}]")
        with gpu_state.state_reader() as read:
            times = gpu_timing.measure(session, feeds, _RUNS, _WARMUP, read)
        for part in ("h2d", "compute", "d2h", "enqueue"):
            print(f"{name:14}{part:24}{np.median(times.of(part)):9.4f} ms")
        for warning in times.warnings:
            print(f"{name:14}warning: {warning}")


@contextmanager
def _engine_session(model: OnnxModel, memory: Any) -> Iterator[EngineSession]:
    runtime, backend = _installed()
    base = device_profiles.load("rtx-5090")
    assert base.gpu is not None
    assert base.tensorrt is not None
    version = backend.version() if runtime == "tensorrt" else base.tensorrt.version
    here = dataclasses.replace(
        base,
        gpu=dataclasses.replace(base.gpu, compute_capability=memory.compute_capability),
        tensorrt=dataclasses.replace(base.tensorrt, version=version),
    )
    plan = plan_engine(here, model.inputs, ("fp32",), runtime=runtime)
    with tempfile.TemporaryDirectory() as folder:
        file = onnx_builder.build(model, Recipe("fp32"), RuntimeSettings(), Path(folder)).file
        cold = time.perf_counter()
        built = build(backend.trt, plan, file.read_bytes())
        warm = time.perf_counter()
        build(backend.trt, plan, file.read_bytes(), timing_cache=built.timing_cache)
        print(f"{runtime} {backend.version()}: built in {warm - cold:.1f} s; again with the kernel times, ", end="")
        print(f"{time.perf_counter() - warm:.1f} s" if built.timing_cache else "which it does not keep")
        artifact = _engine.artifact(model, Recipe("fp32"), RuntimeSettings(), file, plan, {})
    with EngineSession(artifact, backend.trt, built.engine, memory) as session:
        yield session


def _installed() -> tuple[str, Any]:
    """TensorRT, or tensorrt-rtx where that alone is installed; its name and backend."""
    try:
        return "tensorrt", plugins.load("runtimes.backends", "tensorrt", "runtime")
    except NotInstalledError as error:
        print(error)
        return "tensorrt-rtx", plugins.load("runtimes.backends", "tensorrt-rtx", "runtime")


def _bare(session: EngineSession, memory: Any) -> Callable[[Feeds], object]:
    """The engine alone, on data that is there already: what no runtime can be faster than."""

    def run(feeds: Feeds) -> object:
        session._enqueue()
        memory.synchronize(session._stream)
        return None

    return run


def _onnxruntime(model: OnnxModel) -> Callable[[Feeds], object]:
    settings = RuntimeSettings(0, {"provider": "cuda", "cpu_fallback": "1"})
    with tempfile.TemporaryDirectory() as folder:
        artifact = onnx_builder.build(model, Recipe("fp32"), settings, Path(folder))
        return ort_backend.load(artifact, artifact.file.read_bytes()).run


def _torch(name: str, *, compiled: bool) -> Callable[[Feeds], object]:
    import torch

    load = getattr(importlib.import_module(f"benchmarks.zoo.{name}"), "load", None)
    if load is None:
        raise UnsupportedError(f"{name} is no torch module.")
    if not torch.cuda.is_available():
        raise UnsupportedError("this torch has no CUDA.")
    module = load().eval().cuda()
    model = torch.compile(module) if compiled else module

    @torch.inference_mode()
    def run(feeds: Feeds) -> object:
        return model(*(torch.from_numpy(array).cuda() for array in feeds.values())).cpu()

    return run


def _add(rivals: dict[str, Callable[[Feeds], object]], label: str, make: Callable[[], Any]) -> None:
    try:
        rivals[label] = make()
    except EdgewrightError as error:
        print(f"{label}: {error}")


def _rounds(rivals: dict[str, Callable[[Feeds], object]], feeds: list[Any]) -> dict[str, list[float]]:
    """The median of each round in ms."""
    medians: dict[str, list[float]] = {label: [] for label in rivals}
    for index in range(_ROUNDS + 1):
        for label, run in rivals.items():
            spent = []
            for turn in range(_RUNS if index else _WARMUP):
                start = time.perf_counter_ns()
                run(feeds[turn % len(feeds)])
                spent.append((time.perf_counter_ns() - start) / 1e6)
            if index:  # the first round warms up
                medians[label].append(float(np.median(spent)))
    return medians


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
