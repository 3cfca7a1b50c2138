"""Node times from ONNX Runtime's profiler, which records one event per kernel and run."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from runtimes.backends import onnxruntime as backend
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.profilers import Kind, NodeTime, in_turn, middle
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


def node_times(model: bytes, settings: RuntimeSettings, feeds: Sequence[dict[str, Array]], runs: int) -> list[NodeTime]:
    """Run a model under the profiler, the feeds in turn, at least `runs` times.

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
    return [NodeTime(name, op, _kind(op), middle(found), where) for (name, op, where), found in durations.items()]


def _kind(op: str) -> Kind:
    if op in _CONVERSIONS:
        return "conversion"
    return "integer product" if op in _INTEGER else "float product" if op in _FLOAT else "other"
