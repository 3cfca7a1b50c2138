"""Nodes that one inference executes, with the shapes and dtypes that they see, from ONNX Runtime's profiler."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir
import onnxruntime as ort

from runtimes.errors import UsageError
from runtimes.tensors import Array
from toolchain.models import ort_session

_SUFFIX = "_kernel_time"
_MAX_EVENTS = 1_000_000  # ONNX Runtime records at most so many (core/common/profiler.cc)
_ENDS = ("input", "output")


@dataclass(frozen=True)
class Tensor:
    """A tensor that a node read or wrote.

    Attributes:
        dtype: ONNX Runtime's name of it, such as "float16".
    """

    dtype: str
    shape: Sequence[int]


@dataclass(frozen=True)
class ExecutedNode:
    """One execution of a node.

    Attributes:
        inputs: the tensors that it read, without omitted ones.
    """

    name: str
    op: str
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]


def executed_nodes(graph: ir.Model, feeds: Mapping[str, Array], *, fused: bool) -> tuple[list[ExecutedNode], int]:
    """Run one inference under the profiler.

    Args:
        graph: the model.
        feeds: one inference's inputs.
        fused: run the kernels that ONNX Runtime fuses nodes to on any processor; otherwise the nodes as written.

    Returns:
        The nodes in the order of execution, and the bytes of the graph's inputs and outputs.

    Raises:
        UsageError: ONNX Runtime cannot run the model here (bf16 arithmetic), or its steps are too many to record.
    """
    level = ort.GraphOptimizationLevel
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        options = ort.SessionOptions()
        # The level after "extended" changes the layout of tensors for the processor that runs the model.
        options.graph_optimization_level = level.ORT_ENABLE_EXTENDED if fused else level.ORT_DISABLE_ALL
        # The profiler shows no shape of prepacked weights.
        options.add_session_config_entry("session.disable_prepacking", "1")
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder, "profile"))
        session = ort_session.session(graph, options)
        try:
            outputs = ort_session.run_sample(session, 0, feeds)
        finally:
            profile = Path(session.end_profiling()).read_text("utf-8")
    recorded = json.loads(profile)
    if len(recorded) >= _MAX_EVENTS:
        raise UsageError(f"one inference takes more than the {_MAX_EVENTS:,} steps that ONNX Runtime records")
    moved = sum(array.nbytes for array in feeds.values()) + sum(getattr(array, "nbytes", 0) for array in outputs)
    return list(_nodes(recorded)), moved


def _nodes(events: list[dict[str, Any]]) -> Iterator[ExecutedNode]:
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX):
            told = event["args"]
            inputs, outputs = (
                [Tensor(*item) for tensor in told[f"{end}_type_shape"] for item in tensor.items()] for end in _ENDS
            )
            yield ExecutedNode(event["name"].removesuffix(_SUFFIX), told["op_name"], inputs, outputs)
