"""The smallest and the largest value that each tensor took.

The extremes are reduced inside the graph, so that one number per tensor leaves the runtime: memory does not
grow with the samples or with the activations, and the order of the samples does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

from runtimes import samples
from runtimes.errors import UsageError
from runtimes.tensors import Array, TensorSpec
from toolchain.calibration.table import CalibrationTable, Range


def calibrate(
    model: ir.Model, tensors: Sequence[str], specs: Sequence[TensorSpec], arrays: Mapping[str, Array]
) -> CalibrationTable:
    """Observe tensors of the main graph.

    Args:
        model: the prepared float model; left as it is.
        tensors: names of float32 tensors to observe.
        specs: the model's inputs.
        arrays: the samples, one array per input, samples first.

    Raises:
        UsageError: a tensor holds NaN or infinity for some sample; says which.
    """
    session = _observer(model, tensors)
    low = np.full(len(tensors), np.inf)
    high = np.full(len(tensors), -np.inf)
    n = samples.count(specs, arrays)
    for index, feeds in enumerate(samples.feeds(specs, arrays)):
        extremes = np.asarray(session.run(None, feeds), dtype=np.float64).reshape(2, -1)
        if not np.isfinite(extremes).all():
            tensor = tensors[int(np.argwhere(~np.isfinite(extremes))[0][1])]
            raise UsageError(f"Calibration sample {index} drives the tensor '{tensor}' to NaN or infinity; remove it.")
        low, high = np.minimum(low, extremes[0]), np.maximum(high, extremes[1])
    ranges = {name: Range(float(a), float(b)) for name, a, b in zip(tensors, low, high)}
    return CalibrationTable("minmax", n, ranges)


def _observer(model: ir.Model, tensors: Sequence[str]) -> Any:
    observed = ir.from_proto(ir.to_proto(model))
    graph = observed.graph
    values = {value.name: value for node in graph for value in node.outputs}
    values.update({value.name: value for value in graph.inputs})
    graph.outputs.clear()
    # ReduceMin and ReduceMax over all axes without `axes` mean the same in every opset.
    for op in ("ReduceMin", "ReduceMax"):
        for name in tensors:
            node = ir.node(op, [values[name]], attributes={"keepdims": 0})
            node.outputs[0].name = f"{name}:{op}"
            node.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
            node.outputs[0].shape = ir.Shape([])
            graph.append(node)
            graph.outputs.append(node.outputs[0])
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(ir.to_proto(observed).SerializeToString(), options, providers=["CPUExecutionProvider"])
