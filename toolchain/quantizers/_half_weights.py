"""Storage of weights in half precision, which runtimes convert to float32 once, when they load the file."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir

from toolchain.graphs.edits import Edits

_MIN_ELEMENTS = 256  # with fewer elements, the Cast node takes more bytes than it saves


def store_weights(model: ir.Model, dtype: ir.DataType) -> ir.Model:
    """Replace large float32 initializers by half precision ones, followed by a Cast.

    Runtimes fold the Cast of a constant when they load the file, so inference takes as long as in float32. Weights that
    the type cannot hold (fp16: beyond 65504) stay in float32.
    """
    graph, edits = model.graph, Edits(model.graph)
    largest = float(ml_dtypes.finfo(dtype.numpy()).max)  # type: ignore[no-untyped-call]
    for value in list(graph.initializers.values()):
        if value.dtype != ir.DataType.FLOAT or value.const_value is None or value.const_value.size < _MIN_ELEMENTS:
            continue
        array = value.const_value.numpy()
        if np.abs(array).max() > largest or not value.uses() or value.is_graph_output():
            continue
        name = str(value.name)
        stored = edits.constant(f"{name}.stored", array.astype(dtype.numpy()))
        load = edits.cast(stored, ir.DataType.FLOAT, f"{name}.loaded")
        value.replace_all_uses_with(load.outputs[0])
        del graph.initializers[name]
        load.outputs[0].name = name
        graph.insert_before(graph[0], load)
    return model
