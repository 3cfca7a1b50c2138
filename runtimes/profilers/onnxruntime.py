"""Profile by ONNX Runtime, which records one event per kernel and run, and its assignment of nodes to providers."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runtimes.backends import onnxruntime as backend
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.profilers import Kind, NodeTime, PlacedNode, Placement, Profile, in_turn, middle
from runtimes.tensors import Array

_CONVERSIONS = {"QuantizeLinear", "DequantizeLinear", "Cast", "DynamicQuantizeLinear"}
_INTEGER = {
    *("QLinearConv", "QLinearMatMul", "QGemm", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"),
    *("ConvInteger", "QAttention", "DynamicQuantizeLSTM", "MatMulNBits"),
}
_FLOAT = {
    *("Conv", "FusedConv", "ConvTranspose", "MatMul", "FusedMatMul", "Gemm", "FusedGemm", "Attention"),
    *("LSTM", "GRU", "RNN"),
}
_SUFFIX = "_kernel_time"


def profile(model: bytes, settings: RuntimeSettings, feeds: Sequence[dict[str, Array]], runs: int) -> Profile:
    """Run a model under the profiler, the feeds in turn, at least `runs` times.

    A node should run on the first provider that the settings ask for. One that TensorRT leaves to CUDA does not.

    Raises:
        BackendError: ONNX Runtime cannot load it.
    """
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        session = backend.profiled(model, settings, Path(folder, "profile"))
        for fed in in_turn(feeds, runs):
            session.run(None, fed)
        events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    durations: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX):
            name, about = event["name"].removesuffix(_SUFFIX), event["args"]
            durations[name, about["op_name"], about.get("provider", "")].append(event["dur"])
    times = (NodeTime(name, op, _kind(op), middle(found), where) for (name, op, where), found in durations.items())
    return Profile(tuple(times), _placement(session))


def _placement(session: Any) -> Placement | None:
    if not hasattr(session, "get_provider_graph_assignment_info"):  # ONNX Runtime 1.23 and before
        return None
    wanted = session.get_providers()[0]
    placed = [
        PlacedNode(node.name, node.op_type, graph.ep_name)
        for graph in session.get_provider_graph_assignment_info()
        for node in graph.get_nodes()
    ]
    return Placement(len(placed), tuple(node for node in placed if node.where != wanted))


def _kind(op: str) -> Kind:
    if op in _CONVERSIONS:
        return "conversion"
    return "integer product" if op in _INTEGER else "float product" if op in _FLOAT else "other"
