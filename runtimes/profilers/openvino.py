"""Profile by OpenVINO's performance counters, one per node of the compiled model, and its executed graph."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from runtimes.backends import openvino as backend
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.profilers import Kind, NodeTime, PlacedNode, Placement, Profile, in_turn, middle
from runtimes.tensors import Array

_PRODUCTS = {"Convolution", "GroupConvolution", "Deconvolution", "FullyConnected", "MatMul", "RNNSeq", "RNNCell"}
_CONVERSIONS = {"FakeQuantize", "Convert", "Reorder"}
_NO_NODES = {"Input", "Output", "Const"}
_INTEGERS = re.compile(r"_[IU]8$", re.IGNORECASE)


def profile(model: bytes, settings: RuntimeSettings, feeds: Sequence[dict[str, Array]], runs: int) -> Profile:
    """Run a model with its counters on, the feeds in turn, at least `runs` times.

    A node should run in a kernel of the CPU plugin. It does not if OpenVINO evaluates the operator by its reference
    ("Reference" in the executed graph), or a product by oneDNN's.

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
    times = [
        NodeTime(node, op, _kind(op, kernel), middle(each), kernel) for (node, op, kernel), each in durations.items()
    ]
    return Profile(tuple(times), _placement(request.get_compiled_model()))


def _placement(compiled: Any) -> Placement:
    """Read the executed graph, whose constants, inputs and outputs compute nothing."""
    nodes = []
    for node in compiled.get_runtime_model().get_ops():
        op, kernel = (str(node.rt_info[key].astype(str)) for key in ("layerType", "primitiveType"))
        if op not in _NO_NODES:
            nodes.append(PlacedNode(node.get_friendly_name(), op, kernel))
    return Placement(len(nodes), tuple(node for node in nodes if _is_reference(node.op, node.where)))


def _is_reference(op: str, kernel: str) -> bool:
    return op == "Reference" or (op in _PRODUCTS and kernel.startswith("ref"))


def _kind(op: str, kernel: str) -> Kind:
    """Classify a node; `kernel` ends in its precision, as in brgconv_avx512_I8."""
    if op in _CONVERSIONS:
        return "conversion"
    if op not in _PRODUCTS:
        return "other"
    return "integer product" if _INTEGERS.search(kernel) else "float product"
