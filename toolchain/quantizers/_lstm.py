"""Integer LSTM (com.microsoft's DynamicQuantizeLSTM): int8 weights; input and state are quantized at every step.

Only ONNX Runtime has the operator; no runtime has one for GRU (see `_gru`). It took 0.53 of LSTM's time with 128 units
and 32 steps, and 0.09 with 512 units and 100 steps, whose float32 weights exceed the cache
(benchmarks/results/forms.txt).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from runtimes.profile import QuantizationScheme
from toolchain.graphs.edits import Edits, array_of, is_constant
from toolchain.quantizers import _affine, _kernel_pairs

_DOMAIN = "com.microsoft"
_INPUTS = 8  # LSTM's inputs are X, W, R, B, sequence_lens, initial_h, initial_c and P
_MIN_WEIGHTS = 4096  # with fewer, quantizing the input costs more than the integers save, as in int8_dynamic


def integer_lstms(model: ir.Model, scheme: QuantizationScheme, keep: Collection[str]) -> int:
    """Rewrite every LSTM with constant weights.

    The operator has LSTM's inputs and attributes, with two differences: the weights are transposed to
    [directions, input, 4 * units], and scales and zero points [directions] follow the other inputs. It also takes one
    scale per channel, [directions, 4 * units], and then needed 1.14 times as long with 128 units and 32 steps
    (onnxruntime 1.31).

    Args:
        model: the prepared float model; changed in place.
        scheme: the runtime's int8 scheme.
        keep: names of nodes that stay in float32.

    Returns:
        The number of rewritten LSTMs.
    """
    whole = dataclasses.replace(scheme, per_channel=False)
    edits = Edits(model.graph)
    selected = supported_lstms(model, keep)
    for node in selected:
        node.resize_inputs(_INPUTS + 4)
        for index in (1, 2):
            weight = node.inputs[index]
            matrix = np.ascontiguousarray(array_of(weight).transpose(0, 2, 1))
            pairings = [_kernel_pairs.of_matrix(matrix.shape[1])]
            parts = [_affine.for_weight(direction, 1, whole, pairings) for direction in matrix]
            integers = np.stack([_affine.quantize(direction, part) for direction, part in zip(matrix, parts)])
            name, place = f"{node.name}.{'WR'[index - 1]}", _INPUTS + 2 * (index - 1)
            node.replace_input_with(index, edits.constant(name, integers))
            node.replace_input_with(place, edits.constant(f"{name}.scale", np.stack([p.scale for p in parts])))
            zeros = np.stack([p.zero_point for p in parts])
            node.replace_input_with(place + 1, edits.constant(f"{name}.zero_point", zeros))
        node.op_type, node.domain = "DynamicQuantizeLSTM", _DOMAIN
        node.attributes.pop("layout", None)
    if selected:
        model.opset_imports.setdefault(_DOMAIN, 1)
    RemoveUnusedNodesPass()(model)
    return len(selected)


def supported_lstms(model: ir.Model, keep: Collection[str] = ()) -> list[ir.Node]:
    """List the LSTMs that have an integer form."""
    return [node for node in model.graph.all_nodes() if node.name not in keep and _is_supported(node)]


def _is_supported(node: ir.Node) -> bool:
    batch_first = bool(node.attributes.get_int("layout", 0))  # the integer operator does not support it
    if node.op_type != "LSTM" or node.domain or batch_first:
        return False
    weights = node.inputs[1:3]
    floats = all(is_constant(weight) and weight.dtype == ir.DataType.FLOAT for weight in weights if weight)
    return floats and len(weights) == 2 and array_of(weights[0]).size >= _MIN_WEIGHTS
