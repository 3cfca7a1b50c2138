"""Dynamic int8: weights as integers; activations are quantized by their range in each inference. No calibration.

Only products with constant matrices are quantized. A Conv would run as ConvInteger, which was 5 to 12 times slower than
float32 on five of seven real models.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from runtimes.errors import UsageError
from runtimes.profile import QuantizationScheme
from toolchain.graphs.edits import Edits, array_of, deduplicate, is_constant
from toolchain.graphs.products import channel_axis
from toolchain.graphs.value_range import Range
from toolchain.quantizers import _affine, _kernel_pairs
from toolchain.quantizers._gru import expand_grus
from toolchain.quantizers._int8_weights import store_weights
from toolchain.quantizers._lstm import integer_lstms
from toolchain.quantizers._tables import store_tables
from toolchain.recipes.recipe import Recipe

COMPUTES_IN = "int8"
NEEDS_RANGES = "no"
TAKES_SCHEME = True
GOLDEN_TOLERANCE = 2e-2

_MIN_WEIGHTS = 4096  # with fewer weights, quantizing the activation costs more than the integer product saves


def quantize(model: ir.Model, recipe: Recipe, ranges: Mapping[str, Range]) -> ir.Model:
    """Rewrite MatMul and Gemm as DynamicQuantizeLinear -> MatMulInteger -> Cast -> Mul, which ONNX Runtime fuses.

    LSTM becomes integer if the scheme allows com.microsoft's operators. Other weights are stored as int8 and used in
    float32.

    Raises:
        UsageError: the model has no operator to quantize.
    """
    scheme = recipe.scheme or QuantizationScheme()
    if scheme.contrib_ops:  # which stands for ONNX Runtime
        expand_grus(model, recipe.keep)
    selected = [node for node in model.graph.all_nodes() if node.name not in recipe.keep and _is_product(node)]
    lstms = integer_lstms(model, scheme, recipe.keep) if scheme.contrib_ops else 0
    if not selected and not lstms:
        raise UsageError(
            f"No MatMul or Gemm with at least {_MIN_WEIGHTS:,} constant weights was found, so int8-dynamic would gain "
            "nothing; int8-storage makes any model smaller."
        )
    edits = Edits(model.graph)
    for node in selected:
        _rewrite(edits, node, scheme)
    RemoveUnusedNodesPass()(model)
    if scheme.integer_constants:
        store_tables(store_weights(model, recipe.keep), recipe.keep)
    return deduplicate(model)  # nodes that share a weight got a copy each


def _is_product(node: ir.Node) -> bool:
    if node.op_type not in ("MatMul", "Gemm") or node.domain or not is_constant(node.inputs[1]):
        return False
    weight, source = node.inputs[1], node.inputs[0]
    if weight is None or source is None or weight.shape is None or len(weight.shape) != 2:
        return False
    size = weight.const_value.size if weight.const_value is not None else 0
    typed = weight.dtype == source.dtype == ir.DataType.FLOAT
    return typed and size >= _MIN_WEIGHTS and channel_axis(node) is not None


def _rewrite(edits: Edits, node: ir.Node, scheme: QuantizationScheme) -> None:
    source, weight = node.inputs[0], node.inputs[1]
    assert weight is not None and isinstance(weight.graph, ir.Graph)
    matrix = array_of(weight) if channel_axis(node) == 1 else array_of(weight).T
    parameters = _affine.for_weight(matrix, 1, scheme, [_kernel_pairs.of_matrix(len(matrix))])
    name, home = str(node.name), weight.graph  # ONNX Runtime packs for its kernels what their own graph holds
    integers = edits.constant(f"{name}.weight", np.ascontiguousarray(_affine.quantize(matrix, parameters, 1)), home)
    scale = edits.constant(f"{name}.weight_scale", parameters.scale, home)
    zero_point = edits.constant(f"{name}.weight_zero_point", parameters.zero_point, home)

    observed = [f"{name}.{part}" for part in ("input", "input_scale", "input_zero_point")]
    observe = edits.node("DynamicQuantizeLinear", [source], *observed)
    quantized, source_scale, source_zero_point = observe.outputs
    product = edits.node("MatMulInteger", [quantized, integers, source_zero_point, zero_point], f"{name}.integer")
    cast = edits.cast(product.outputs[0], ir.DataType.FLOAT, f"{name}.product")
    scales = edits.node("Mul", [source_scale, scale], f"{name}.scales")
    result = edits.node("Mul", [cast.outputs[0], scales.outputs[0]], f"{name}.rescaled")
    nodes = [observe, product, cast, scales, result]
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        result = edits.node("Add", [result.outputs[0], node.inputs[2]], f"{name}.with_bias")
        nodes.append(result)
    old, new = node.outputs[0], result.outputs[0]
    new.type, new.shape = old.type, old.shape
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    old.name, new.name = new.name, old.name
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    graph.insert_before(node, nodes)
    graph.remove(node, safe=True)
    if home is not edits.graph and not weight.uses():  # onnx_ir removes those of the main graph alone
        del home.initializers[str(weight.name)]
