"""Time of each node in an inference, one file per runtime with a profiler.

Each file holds `node_times(model, settings, feeds, runs) -> list[NodeTime]`, which `profile` calls in a process of its
own.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hwbench.child_process import run_module
from runtimes import plugins
from runtimes.bundles.manifest import Artifact
from runtimes.codec import decode, encode
from runtimes.tensors import Array

Kind = Literal["conversion", "integer product", "float product", "other"]

RUNS = 10
"""Least number of inferences of a profile."""

_ENOUGH_S, _MOST_RUNS = 0.2, 300  # a small model is profiled in more inferences, whose times differ by more

_LIMIT_S = 300.0  # a profile that takes longer counts as hung


@dataclass(frozen=True)
class NodeTime:
    """One kernel that ran.

    Attributes:
        node: the runtime's name of the node, which begins with the name of an ONNX node.
        op: the runtime's operator type.
        kind: a conversion between integers and floats, a product (Conv, MatMul, Gemm, recurrent), or another operator.
        us: microseconds per inference, as `middle` of all runs.
    """

    node: str
    op: str
    kind: Kind
    us: float


def can_profile(runtime: str) -> bool:
    """Tell whether a runtime has a profiler."""
    return runtime in plugins.names(__name__)


def profile(artifact: Artifact, inputs: Path) -> list[NodeTime]:
    """Measure the time of an artifact's nodes on the samples of an .npz.

    Raises:
        BackendError: its runtime refuses it, or crashes or hangs while it profiles.
    """
    with tempfile.TemporaryDirectory(prefix="edgewright-") as name:
        folder = Path(name)
        request, times = folder / "request.json", folder / "times.json"
        request.write_text(json.dumps(encode(artifact)))
        run_module(__name__, [str(request), str(inputs.absolute()), str(times)], folder, _LIMIT_S)
        return [decode(NodeTime, item, "a profile") for item in json.loads(times.read_text())]


def in_turn(feeds: Sequence[dict[str, Array]], runs: int) -> Iterator[dict[str, Array]]:
    """Yield feeds in turn: at least `runs` of them, and more while that takes a fraction of a second."""
    start = time.perf_counter()
    for run in range(max(runs, _MOST_RUNS)):
        if run >= runs and time.perf_counter() - start > _ENOUGH_S:
            return
        yield feeds[run % len(feeds)]


def middle(times_us: Sequence[float]) -> float:
    """Average the middle half of some times: profilers count whole microseconds, of which small kernels take few."""
    quarter = len(times_us) // 4
    return statistics.fmean(sorted(times_us)[quarter : len(times_us) - quarter])
