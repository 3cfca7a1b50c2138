"""int8 dynamic: weights as integers, activations quantized as they come. No calibration.

Only products with constant matrices: a Conv quantized this way runs in ConvInteger, which was 5 to 12 times
slower than float32 on five of seven real models.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import DeduplicateHashedInitializersPass

from runtimes.errors import UsageError
from runtimes.profile import QuantizationScheme
from toolchain.calibration.table import Range
from toolchain.quantizers import _affine
from toolchain.quantizers._graph import array_of, constant, drop_unused_initializers
from toolchain.quantizers._placement import is_constant
from toolchain.recipe import Recipe

_MIN_WEIGHTS = 4096  # below, quantizing the activation costs more than the integer product saves


def quantize(model: ir.Model, recipe: Recipe, ranges: Mapping[str, Range]) -> ir.Model:
    """Rewrite MatMul and Gemm as DynamicQuantizeLinear -> MatMulInteger -> Cast -> Mul, which ONNX Runtime fuses.

    Raises:
        UsageError: there is nothing to quantize.
    """
    scheme = recipe.scheme or QuantizationScheme()
    chosen = [node for node in model.graph if node.name not in recipe.keep and _is_product(node)]
    if not chosen:
        raise UsageError(
            f"No MatMul or Gemm with {_MIN_WEIGHTS:,} constant weights or more was found; "
            "int8-dynamic pays for those alone."
        )
    for node in chosen:
        _rewrite(model.graph, node, scheme)
    drop_unused_initializers(model.graph)
    return DeduplicateHashedInitializersPass()(model).model  # a weight that several nodes share was quantized for each


def _is_product(node: ir.Node) -> bool:
    if node.op_type not in ("MatMul", "Gemm") or node.domain or not is_constant(node.inputs[1]):
        return False
    weight, source = node.inputs[1], node.inputs[0]
    if weight is None or source is None or weight.shape is None or len(weight.shape) != 2:
        return False
    factors = [node.attributes.get_float(name, 1.0) for name in ("alpha", "beta")]
    plain = not node.attributes.get_int("transA", 0) and factors == [1.0, 1.0]
    size = weight.const_value.size if weight.const_value is not None else 0
    return plain and size >= _MIN_WEIGHTS and weight.dtype == source.dtype == ir.DataType.FLOAT


def _rewrite(graph: ir.Graph, node: ir.Node, scheme: QuantizationScheme) -> None:
    source, weight = node.inputs[0], node.inputs[1]
    matrix = array_of(weight)
    if node.attributes.get_int("transB", 0):
        matrix = matrix.T
    parameters = _affine.for_weight(matrix, 1, scheme)
    name = str(node.name)
    integers = constant(graph, f"{name}.weight", np.ascontiguousarray(_affine.quantize(matrix, parameters, 1)))
    scale = constant(graph, f"{name}.weight_scale", parameters.scale)
    zero_point = constant(graph, f"{name}.weight_zero_point", parameters.zero_point)

    observe = ir.node("DynamicQuantizeLinear", [source], num_outputs=3, name=f"{name}.quantize")
    quantized, source_scale, source_zero_point = observe.outputs
    product = ir.node("MatMulInteger", [quantized, integers, source_zero_point, zero_point], name=f"{name}.integer")
    cast = ir.node("Cast", [product.outputs[0]], attributes={"to": ir.DataType.FLOAT.value}, name=f"{name}.cast")
    scales = ir.node("Mul", [source_scale, scale], name=f"{name}.scales")
    result = ir.node("Mul", [cast.outputs[0], scales.outputs[0]], name=f"{name}.rescale")
    nodes = [observe, product, cast, scales, result]
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        result = ir.node("Add", [result.outputs[0], node.inputs[2]], name=f"{name}.add_bias")
        nodes.append(result)
    old, new = node.outputs[0], result.outputs[0]
    new.type, new.shape = old.type, old.shape
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    old.name, new.name = f"{old.name}.replaced", old.name
    graph.insert_before(node, nodes)
    graph.remove(node, safe=True)
