"""Time of each node in an inference, one file per runtime with a profiler.

Each file holds `node_times(model, settings, feeds, runs) -> list[NodeTime]`, which `profile` calls in a process of its
own.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hwbench.child_process import run_module
from runtimes import plugins
from runtimes.bundles.manifest import Artifact
from runtimes.codec import decode, encode

Kind = Literal["conversion", "integer product", "float product", "other"]

RUNS = 10
"""Number of inferences over which a profile takes the median."""

_LIMIT_S = 300.0  # a profile that takes longer counts as hung


@dataclass(frozen=True)
class NodeTime:
    """One kernel that ran.

    Attributes:
        node: the runtime's name of the node, which begins with the name of an ONNX node.
        op: the runtime's operator type.
        kind: a conversion between integers and floats, a product (Conv, MatMul, Gemm, recurrent), or another operator.
        us: microseconds per inference, the median over runs.
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
