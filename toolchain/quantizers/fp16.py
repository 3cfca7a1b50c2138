"""fp16 arithmetic, through onnxconverter-common. Inputs and outputs keep their dtype."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import onnx_ir as ir
from onnxconverter_common import float16

from runtimes.errors import UsageError
from toolchain.calibration.table import Range
from toolchain.recipe import Recipe

RANGES_ARE_OPTIONAL = True  # without samples, nothing is known to overflow

_LARGEST = 65504.0


def tensors(model: ir.Model, recipe: Recipe) -> tuple[str, ...]:
    """Every float32 activation: what leaves fp16's range stays in float32."""
    return tuple(str(value.name) for node in model.graph for value in node.outputs if value.dtype == ir.DataType.FLOAT)


def quantize(model: ir.Model, recipe: Recipe, ranges: Mapping[str, Range]) -> ir.Model:
    """Convert to fp16, but for the nodes to keep and those whose outputs fp16 cannot hold.

    Raises:
        UsageError: the converter fails; its reason is passed on.
    """
    blocked = sorted({*recipe.keep, *_around_overflows(model, ranges)})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of every weight that it rounds to zero
            proto = float16.convert_float_to_float16(ir.to_proto(model), keep_io_types=True, node_block_list=blocked)
    except Exception as error:  # it raises bare ValueErrors and KeyErrors
        raise UsageError(f"onnxconverter-common cannot convert this model to fp16: {error!r}") from error
    converted: ir.Model = ir.from_proto(proto)
    return converted


def _around_overflows(model: ir.Model, ranges: Mapping[str, Range]) -> set[str]:
    """Who writes what fp16 cannot hold, and who reads it: a Cast between the two would overflow just as well."""
    nodes: set[str] = set()
    for node in model.graph:
        for value in node.outputs:
            observed = ranges.get(str(value.name))
            if observed is not None and max(-observed.low, observed.high) > _LARGEST:
                nodes.update(str(reader.name) for reader in (node, *(use.node for use in value.uses())))
    return nodes
