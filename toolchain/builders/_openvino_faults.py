"""Places where OpenVINO computes Q/DQ pairs wrongly (2026.4 on a CPU), and graphs that avoid them.

`tests/toolchain/builders/test_openvino_faults.py` compares operators before and after pairs with exact arithmetic.
Wrong are:

- a Q after a maximum or minimum over axes, by 0.1 to 1.0, also with elementwise operators or reshapes between the two;
- a Q after any other reduction without `keepdims`, if the elementwise operators between have a vector as an operand;
- an average over counted padding after a DQ whose zero point is not zero, since the padding becomes the integer zero.
"""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

from runtimes.profile import QuantizationScheme
from toolchain.graphs.edits import is_constant
from toolchain.graphs.products import PRODUCTS
from toolchain.recipes.qdq_placement import INTEGER_OPS, KEEP_KEY

_REASON = "openvino"  # for which a node is kept in float
_MAXIMA = frozenset({"ReduceMax", "ReduceMin", "GlobalMaxPool"})
_NOT_NEGATIVE = frozenset({"Relu", "Sigmoid"})


def avoid_faults(model: ir.Model, scheme: QuantizationScheme) -> ir.Model:
    """Keep in float the nodes whose pairs OpenVINO would compute wrongly.

    Args:
        model: a prepared float model, which stays unchanged.
        scheme: the layout of its integers.

    Returns:
        The same graph, in which these nodes are marked.
    """
    model = model.clone()
    for node in [node for node in model.graph.all_nodes() if not node.domain]:
        if node.op_type in _MAXIMA:
            _keep_readers(node.outputs[0], is_wrong=True)
        elif node.op_type.startswith("Reduce") and not node.attributes.get_int("keepdims", 1):
            _keep_readers(node.outputs[0], is_wrong=False)
        elif node.op_type == "AveragePool" and _counts_padding(node):
            # The zero point of what is not negative is zero in unsigned integers.
            _keep_writers(node.inputs[0], fine=_NOT_NEGATIVE if scheme.activations == "uint8" else frozenset())
    return model


def _counts_padding(pool: ir.Node) -> bool:
    return pool.attributes.get_int("count_include_pad", 0) == 1 and any(pool.attributes.get_ints("pads", ()))


def _keep_readers(reduced: ir.Value, *, is_wrong: bool) -> None:
    """Keep in float what reads a value, directly or through operators that OpenVINO fuses or moves a Q across.

    Args:
        reduced: the output of a reduction.
        is_wrong: True if a Q right after it is wrong; else one is wrong only after a vector was added or multiplied.
    """
    front, seen = [(reduced, is_wrong)], set()
    while front:
        value, is_wrong = front.pop()
        for node in (use.node for use in value.uses()):
            if is_wrong:
                node.metadata_props[KEEP_KEY] = _REASON
            is_crossed = node.op_type not in PRODUCTS and (node.op_type == "Concat" or _has_one_activation(node))
            reached = [(output, is_wrong or _has_vector(node)) for output in node.outputs if is_crossed]
            front += [one for one in reached if one not in seen]
            seen.update(reached)


def _has_one_activation(node: ir.Node) -> bool:
    return sum(value is not None and not is_constant(value) for value in node.inputs) == 1


def _has_vector(node: ir.Node) -> bool:
    constants = [value for value in node.inputs if is_constant(value) and value is not None]
    return any(
        value.dtype == ir.DataType.FLOAT and value.const_value.size > 1 for value in constants if value.const_value
    )


def _keep_writers(pooled: ir.Value | None, fine: Collection[str]) -> None:
    """Keep in float what would write a value as integers, directly or through operators that pass integers on."""
    front, seen = [pooled], set()
    while front:
        value = front.pop()
        node = value.producer() if value is not None else None
        if node is None or node in seen or node.op_type in fine or node.op_type not in INTEGER_OPS:
            continue
        seen.add(node)
        node.metadata_props[KEEP_KEY] = _REASON
        front += [] if node.op_type in PRODUCTS else node.inputs
