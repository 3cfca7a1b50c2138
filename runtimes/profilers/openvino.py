"""Node times from OpenVINO's performance counters, one per node of the compiled model."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from runtimes.backends import openvino as backend
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.profilers import Kind, NodeTime, in_turn, middle
from runtimes.tensors import Array

_PRODUCTS = {"Convolution", "GroupConvolution", "Deconvolution", "FullyConnected", "MatMul", "RNNSeq", "RNNCell"}
_CONVERSIONS = {"FakeQuantize", "Convert", "Reorder"}
_INTEGERS = re.compile(r"_[IU]8$", re.IGNORECASE)


def node_times(model: bytes, settings: RuntimeSettings, feeds: Sequence[dict[str, Array]], runs: int) -> list[NodeTime]:
    """Run a model with its counters on, the feeds in turn, at least `runs` times.

    Raises:
        BackendError: OpenVINO cannot load it.
    """
    request = backend.profiled(model, settings, feeds[0])
    durations: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for fed in in_turn(feeds, runs):
        request.infer(fed)
        for item in request.get_profiling_info():
            if item.status.name == "EXECUTED":
                durations[item.node_name, item.node_type, item.exec_type].append(item.real_time.total_seconds() * 1e6)
    return [
        NodeTime(name, op, _kind(op, kernel), middle(found), kernel) for (name, op, kernel), found in durations.items()
    ]


def _kind(op: str, kernel: str) -> Kind:
    """Classify a node; `kernel` ends in its precision, as in brgconv_avx512_I8."""
    if op in _CONVERSIONS:
        return "conversion"
    if op not in _PRODUCTS:
        return "other"
    return "integer product" if _INTEGERS.search(kernel) else "float product"
