"""Pools whose window is larger than what it slides over.

ONNX gives them floor((size - window) / stride) + 1 positions, which is none. ONNX Runtime rounds towards zero instead:
with a stride that is larger than what is missing, it finds one position and returns a number (1.32, on a CPU). Other
runtimes refuse, rightly, so that a source which computes a number there does not show that it takes the size.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from runtimes.tensors import Feeds
from toolchain.graphs.edits import Edits
from toolchain.models import ort_session

_POOLS = frozenset({"AveragePool", "LpPool", "MaxPool"})


def windows_check(model: ir.Model) -> Callable[[Feeds], bool]:
    """Make a function that tells whether every pool's window fits into what it slides over.

    Args:
        model: the model; it stays unchanged. Pools in its subgraphs count as fitting.

    Returns:
        The function of one inference's inputs.

    Raises:
        UsageError: ONNX Runtime cannot load the model, or run it on the inputs.
    """
    observer = model.clone()
    pools = [node for node in observer.graph if node.op_type in _POOLS and not node.domain and _is_padded_as_told(node)]
    if not pools:
        return lambda feeds: True
    observer.graph.outputs.clear()
    edits = Edits(observer.graph)
    for pool in pools:
        assert pool.inputs[0] is not None
        shape = edits.append("Shape", pool.inputs[0])
        shape.type = ir.TensorType(ir.DataType.INT64)
        observer.graph.outputs.append(shape)
    session = ort_session.session(observer)

    def fit(feeds: Feeds) -> bool:
        shapes = ort_session.run_sample(session, 0, feeds)
        return all(_fits(pool, shape.tolist()) for pool, shape in zip(pools, shapes))

    return fit


def _is_padded_as_told(pool: ir.Node) -> bool:
    """Tell whether a pool pads by its attribute: one that pads as needed always has a position."""
    return pool.attributes.get_string("auto_pad", "NOTSET") in ("NOTSET", "VALID")


def _fits(pool: ir.Node, shape: list[int]) -> bool:
    windows = pool.attributes.get_ints("kernel_shape", ())
    axes = len(windows)
    pads = pool.attributes.get_ints("pads", ()) or (0,) * 2 * axes
    dilations = pool.attributes.get_ints("dilations", ()) or (1,) * axes
    return all(
        size + pads[axis] + pads[axis + axes] >= dilations[axis] * (windows[axis] - 1) + 1
        for axis, size in enumerate(shape[-axes:])
    )
