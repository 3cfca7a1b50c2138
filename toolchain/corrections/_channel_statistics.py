"""Extremes and power of tensors' channels over the samples; the graph reduces them, so memory is that of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hwbench.data.dataset import Dataset
from runtimes.tensors import Array
from toolchain.graphs.channel_scaling import Axis
from toolchain.graphs.edits import Edits
from toolchain.models import ort_session

_OPS = ("ReduceMin", "ReduceMax", "ReduceMean")


@dataclass(frozen=True)
class ChannelStatistics:
    """Statistics of the channels along one axis of one tensor.

    Attributes:
        low, high: the extremes of each channel, zero included: float64 [channels].
        power: mean squares: float64 [channels].
    """

    low: Array
    high: Array
    power: Array


def observe_channels(model: ir.Model, axes: Sequence[Axis], data: Dataset) -> Mapping[Axis, ChannelStatistics]:
    """Observe channels over all samples.

    Args:
        model: the prepared float model; it stays unchanged.
        axes: axes of float32 tensors of its main graph.
        data: the calibration samples.
    """
    sizes = [_size(axis) for axis in axes]
    low, high, power = ([np.zeros(size) for size in sizes] for _ in range(3))
    n = 0
    for _, outputs in ort_session.over_samples(ort_session.session(_observer_graph(model, axes)), data):
        for i, (least, most, mean) in enumerate(zip(*[iter(outputs)] * 3)):
            low[i], high[i], power[i] = np.minimum(low[i], least), np.maximum(high[i], most), power[i] + mean
        n += 1
    return {axis: ChannelStatistics(*seen) for axis, *seen in zip(axes, low, high, (total / n for total in power))}


def _observer_graph(model: ir.Model, axes: Sequence[Axis]) -> ir.Model:
    observer = model.clone()
    graph, edits = observer.graph, Edits(observer.graph)
    values = {value.name: value for node in graph for value in node.outputs}
    graph.outputs.clear()
    for original, axis in axes:
        value = values[original.name]
        square = edits.append("Mul", value, value)
        others = [i for i in range(len(original.shape or ())) if i != axis]
        for op, source in zip(_OPS, (value, value, square)):
            edits.add_output(edits.reduce(op, source, others), [_size((original, axis))])
    return observer


def _size(axis: Axis) -> int:
    value, index = axis
    assert value.shape is not None
    return int(value.shape[index])  # type: ignore[arg-type]  # channel axes have a known size
