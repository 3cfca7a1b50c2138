"""Profilers: the time of each node in an inference and where it runs, one file per runtime that tells.

Each file holds the functions of `Profiler`. `python -m runtimes profile` calls them in a process of its own, which may
die.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast

from runtimes import plugins
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.tensors import Array

Kind = Literal["conversion", "integer product", "float product", "other"]

RUNS = 10
"""Least number of inferences of a profile."""

_ENOUGH_S, _MOST_RUNS = 0.2, 300  # a small model is profiled in more inferences, whose times differ by more


@dataclass(frozen=True)
class NodeTime:
    """One kernel that ran.

    Attributes:
        node: the runtime's name of the node, which begins with the name of an ONNX node.
        op: the runtime's operator type.
        kind: a conversion between integers and floats, a product (Conv, MatMul, Gemm, recurrent), or another operator.
        us: microseconds per inference, as `middle` of all runs.
        kernel: the runtime's name of what computes it: OpenVINO's implementation, or ONNX Runtime's provider.
    """

    node: str
    op: str
    kind: Kind
    us: float
    kernel: str = ""


@dataclass(frozen=True)
class PlacedNode:
    """One node that does not run where it should.

    Attributes:
        where: the provider or the kernel that runs it.
    """

    node: str
    op: str
    where: str


@dataclass(frozen=True)
class Placement:
    """Assignment of a model's nodes, as its runtime tells it.

    Attributes:
        nodes: number of nodes that the runtime assigned, after its optimizations of the graph.
        elsewhere: those that do not run where they should.
    """

    nodes: int
    elsewhere: tuple[PlacedNode, ...] = ()

    @property
    def share(self) -> float:
        """The share of nodes that run where they should; 1 for a model without nodes."""
        return 1 - len(self.elsewhere) / self.nodes if self.nodes else 1.0


@dataclass(frozen=True)
class Profile:
    """One process's profile of a model.

    Attributes:
        times: the nodes in the order in which they first ran.
        placement: None if this version of the runtime does not tell.
    """

    times: tuple[NodeTime, ...]
    placement: Placement | None = None


class Profiler(Protocol):
    """The function that each module of this folder offers."""

    def profile(self, model: bytes, settings: RuntimeSettings, feeds: Sequence[dict[str, Array]], runs: int) -> Profile:
        """Run a model under the runtime's profiler, the feeds in turn, at least `runs` times.

        Raises:
            BackendError: the runtime cannot load it.
        """


def can_profile(runtime: str) -> bool:
    """Tell whether a runtime has a profiler."""
    return runtime in plugins.names(__name__)


def profiler(runtime: str) -> Profiler:
    """Load the profiler of a runtime.

    Raises:
        UsageError: there is none; lists the existing ones.
        NotInstalledError: its package is missing; says how to install it.
    """
    return cast(Profiler, plugins.load(__name__, runtime, "runtime with a profiler"))


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
