"""Inspection of a model: its inputs, weights and operators, and the operators that int8 would compute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from runtimes.errors import EdgewrightError
from runtimes.tensors import TensorSpec
from toolchain.graphs.product_precision import by_precision
from toolchain.models.onnx_model import (
    CALIBRATION_KEY,
    CORRECTIONS_KEY,
    custom_opsets,
    is_quantized,
    load_ir,
    open_model,
    size_bytes,
)
from toolchain.models.prepare import prepare
from toolchain.quantizers._lstm import supported_lstms
from toolchain.recipes.qdq_placement import place

_LSTM = "LSTM on ONNX Runtime"  # no other runtime has an integer one


@dataclass(frozen=True)
class Inspection:
    """A model, described.

    Attributes:
        domains: operator domains beyond ONNX's own.
        size_bytes: the size on disk, including external data.
        weights: the number of weights by dtype.
        operators: the number of each operator, subgraphs included; the most frequent first.
        quantizable: operators that static int8 would run on integers, after constant folding.
        left_in_float: the other operators.
        refusal: the reason why int8 does not apply; None if it does.
        layers: the number of products, recurrent layers among them, by the precision that the graph has them in.
        calibration: the method that chose the ranges of a model that edgewright quantized.
        corrections: corrections of a model that edgewright quantized, each with the number of operators it changed.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    opset: int
    domains: tuple[str, ...]
    size_bytes: int
    parameters: int
    weights: Mapping[str, int]
    operators: Mapping[str, int]
    quantizable: Mapping[str, int]
    left_in_float: Mapping[str, int]
    layers: Mapping[str, int]
    refusal: str | None = None
    calibration: str | None = None
    corrections: str | None = None


def inspect_model(path: Path) -> Inspection:
    """Describe an ONNX file.

    Raises:
        UsageError: the file is not usable ONNX.
    """
    model, graph = open_model(path), load_ir(path)
    weights: Counter[str] = Counter()
    for value in graph.graph.initializers.values():
        if value.const_value is not None:
            weights[value.const_value.dtype.name.lower()] += value.const_value.size
    quantizable: Mapping[str, int] = {}
    left: Mapping[str, int] = {}
    refusal = "the model is quantized already" if is_quantized(graph) else None
    if refusal is None:
        try:
            quantizable, left = _int8(prepare(model))
        except EdgewrightError as error:
            refusal = str(error)
    return Inspection(
        inputs=model.inputs,
        outputs=model.outputs,
        opset=model.opset,
        domains=custom_opsets(graph),
        size_bytes=size_bytes(path, graph),
        parameters=sum(weights.values()),
        weights=dict(weights.most_common()),
        operators=_count(graph.graph.all_nodes()),
        quantizable=quantizable,
        left_in_float=left,
        layers=by_precision(graph, "fp32"),
        refusal=refusal,
        calibration=graph.metadata_props.get(CALIBRATION_KEY),
        corrections=graph.metadata_props.get(CORRECTIONS_KEY),
    )


def _int8(prepared: ir.Model) -> tuple[Mapping[str, int], Mapping[str, int]]:
    nodes, lstms = place(prepared, ()).nodes, supported_lstms(prepared)
    others = (node for node in prepared.graph.all_nodes() if node not in nodes and node not in lstms)
    return {**_count(nodes), **({_LSTM: len(lstms)} if lstms else {})}, _count(others)


def _count(nodes: Iterable[ir.Node]) -> Mapping[str, int]:
    return dict(Counter(node.op_type for node in nodes).most_common())
