"""Gain of compiling for the first shapes that come, on OpenVINO and models of dynamic shapes, side by side.

    python -m benchmarks.static_shapes [MODEL...] | tee benchmarks/results/static_shapes.txt

Both sessions are ours, in this process, on one thread, and take turns; the ratio is the median of those of neighbouring
turns, with its 95% interval. A turn's figure is the fastest of a few inferences, as other programs may be running. Also
what the first inference takes, which compiles.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import time
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks import latency_models
from benchmarks.peers import TRAINED, model_named
from hwbench.data import dataset
from hwbench.machine.identity import this_machine
from hwbench.stats import intervals
from runtimes import samples
from runtimes.backends import openvino
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.errors import BackendError
from runtimes.inference.session import Session
from runtimes.tensors import Array
from toolchain.builders import openvino as builder
from toolchain.models.onnx_model import open_model
from toolchain.recipes.recipe import Recipe

_TURNS, _RUNS = 40, 5


def main(names: list[str]) -> None:
    """Measure every model and print the table."""
    print(f"{this_machine().cpu}, openvino {version('openvino')}, float32, 1 thread\n")
    print(f"{'model':14}{'general ms':>11}{'fixed ms':>10}  fixed / general [95%]  first run s: general, fixed")
    for name in names or [*TRAINED, *latency_models.NAMES]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                _compare(name, Path(folder))
            except BackendError as error:
                print(f"{name:14} {str(error)[:100]}")


def _compare(name: str, folder: Path) -> None:
    model = model_named(name, folder)
    source = open_model(model.onnx)
    feeds = list(islice(samples.feeds(source.inputs, dataset.read(model.calibration, source.inputs).arrays), _RUNS))
    artifact = builder.build(source, Recipe("fp32"), RuntimeSettings(1), folder)
    general, general_s = _opened(artifact, "none", feeds[0])
    fixed, fixed_s = _opened(artifact, "first", feeds[0])
    times = np.array([[_fastest(session, feeds) for session in (general, fixed)] for _ in range(_TURNS)]) / 1e6
    ratio = intervals.quantile(times[:, 1] / times[:, 0], 0.5)
    shown = f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"
    medians = np.median(times, axis=0)
    figures = f"{medians[0]:11.3f}{medians[1]:10.3f}  {shown:21}{general_s:21.2f}, {fixed_s:.2f}"
    print(f"{name:14}{figures}", flush=True)


def _opened(artifact: Artifact, static_shapes: str, feeds: dict[str, Array]) -> tuple[Session, float]:
    """A session, and what its first inference took."""
    settings = RuntimeSettings(1, {"static_shapes": static_shapes})
    session = openvino.load(dataclasses.replace(artifact, settings=settings), artifact.file.read_bytes())
    start = time.perf_counter()
    session.run(feeds)
    return session, time.perf_counter() - start


def _fastest(session: Session, feeds: list[dict[str, Array]]) -> int:
    session.run(feeds[0])
    taken = []
    for each in feeds:
        start = time.perf_counter_ns()
        session.run(each)
        taken.append(time.perf_counter_ns() - start)
    return min(taken)


if __name__ == "__main__":
    main(sys.argv[1:])
