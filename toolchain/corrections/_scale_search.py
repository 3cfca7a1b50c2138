"""Search for channel scales with which one int8 scale suits all of a tensor's channels.

A tensor's widest channel sets its step, and every channel gets the noise of that step. Dividing a channel by s, and
multiplying the weights that read it by s, evens out the channels and makes the weights less even. For each group of
channels that share a tensor, s = a ** alpha / w ** (1 - alpha), with the channel's range a and the size w of the
weights that read it. The search takes the alpha with the least estimated noise, and leaves the group unchanged if that
gains little.

Source: alpha = 1/2 is the formula of M. Nagel et al. (2019), arXiv:1906.04721, section 4.1 (where a is the range of the
weights that write the channel); G. Xiao et al. (2022), SmoothQuant, arXiv:2211.10438, choose alpha per model. The noise
estimate is our own: uniform rounding noise of variance step ** 2 / 12, independent inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from hwbench.data.dataset import Dataset
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.corrections._channel_statistics import ChannelStatistics, observe_channels
from toolchain.graphs.channel_groups import Channels, channel_classes
from toolchain.graphs.channel_scaling import Axis, layer_axes, scale_constants
from toolchain.graphs.edits import array_of
from toolchain.recipes.qdq_placement import place
from toolchain.recipes.recipe import Recipe

_ALPHAS = np.linspace(0.0, 1.0, 9)  # in steps of an eighth
_FLOOR = 1e-3
"""Lower limit of a channel's range, as a part of the largest: a channel that hardly fired would get a huge scale."""
_TINY = float(np.finfo(np.float64).tiny)


def scale_channels(
    model: ir.Model,
    recipe: Recipe,
    data: Dataset,
    writes: Callable[[ir.Node], bool],
    min_gain: float = 0.1,
) -> tuple[ir.Model, int]:
    """Scale channels where the estimated noise falls; the float model's outputs stay the same.

    Args:
        model: the prepared float model; changed and returned.
        recipe: the int8 recipe.
        data: the calibration samples.
        writes: tells whether the channels that an operator writes may be scaled.
        min_gain: the part of its estimated noise that a group of channels must lose to be scaled.

    Returns:
        The model, and the number of operators whose constants changed.
    """
    placement = place(model, recipe.keep)
    channels = channel_classes(model.graph)
    usable = channels.free.copy()
    for node in model.graph:
        own = layer_axes(node)
        if own is not None and not writes(node) and (node.outputs[0], own[1]) in channels.classes:
            usable[channels.classes[node.outputs[0], own[1]]] = False
    axes = [axis for axis, ids in channels.classes.items() if axis[0] in placement.activations and usable[ids].any()]
    if not axes:
        return model, 0
    statistics = observe_channels(model, axes, data)
    layers = [
        _layer(weight.node, array_of(weight.value), weight.axis, channels, statistics) for weight in placement.weights
    ]
    scheme = recipe.scheme or QuantizationScheme()
    search = _ScaleSearch(channels, statistics, [layer for layer in layers if layer is not None], scheme)
    search.choose(usable, min_gain)
    return model, scale_constants(model, channels.classes, search.scales)


@dataclass(frozen=True)
class _Layer:
    """An operator with a weight matrix, reduced to the estimate's terms.

    Attributes:
        inputs, outputs: the classes of the channels that it reads and writes; None if its outputs have none.
        largest: the largest weight of each pair of channels: [outputs, inputs per group].
        energy: the sum of squared weights by input: [inputs].
        power: the mean square of the inputs: [inputs].
        taps: the number of weights of each pair; above 1 only for a Conv.
    """

    inputs: Array
    outputs: Array | None
    largest: Array
    energy: Array
    power: Array
    taps: int

    @property
    def signal(self) -> float:
        """Power of the output, if the inputs are independent."""
        return max(float(self.energy @ self.power), _TINY)

    def touches(self, group: Array) -> bool:
        """Tell whether scales of these classes change the weights."""
        return bool(np.isin(self.inputs, group).any()) or (
            self.outputs is not None and bool(np.isin(self.outputs, group).any())
        )


def _layer(
    node: ir.Node, weight: Array, axis: int, channels: Channels, statistics: Mapping[Axis, ChannelStatistics]
) -> _Layer | None:
    """Describe an operator; None if its inputs were not observed, since nothing can be scaled there."""
    axes, source = layer_axes(node), node.inputs[0]
    if axes is None or source is None or (source, axes[0]) not in statistics:
        return None
    inputs, power = channels.classes[source, axes[0]], statistics[source, axes[0]].power
    sizes = np.abs(np.moveaxis(weight.astype(np.float64), axis, 0))
    sizes = sizes.reshape(*sizes.shape[:2], -1)
    groups = len(inputs) // sizes.shape[1]
    energy = (sizes**2).sum(axis=2).reshape(groups, -1, sizes.shape[1]).sum(axis=1).ravel()
    outputs = channels.classes.get((node.outputs[0], axes[1]))
    return _Layer(inputs, outputs, sizes.max(axis=2), energy, power, sizes.shape[2])


class _ScaleSearch:
    """Search over the scales of all classes, with the estimate of their noise."""

    def __init__(
        self,
        channels: Channels,
        statistics: Mapping[Axis, ChannelStatistics],
        layers: Sequence[_Layer],
        scheme: QuantizationScheme,
    ) -> None:
        self._statistics = statistics
        self._classes = {axis: channels.classes[axis] for axis in statistics}
        self._layers, self._scheme = layers, scheme
        n = len(channels.free)
        self.scales = np.ones(n)
        self._gain, self._span = np.zeros(n), np.zeros(n)
        for layer in layers:
            np.add.at(self._gain, layer.inputs, layer.energy / layer.signal)
        for axis, seen in statistics.items():
            span = seen.high - seen.low
            np.maximum.at(self._span, self._classes[axis], span / max(float(span.max()), _TINY))

    def choose(self, usable: Array, min_gain: float) -> None:
        """Choose the scales of the usable classes, bool [classes], group by group."""
        for group in self._groups(usable & (self._gain > 0)):
            axes = [axis for axis, ids in self._classes.items() if np.isin(ids, group).any()]
            layers = [layer for layer in self._layers if layer.touches(group)]
            options = [self._with(group, alpha) for alpha in _ALPHAS]
            noises = [self._noise(scales, axes, layers) for scales in options]
            best = int(np.argmin(noises))
            if noises[best] < (1 - min_gain) * self._noise(self.scales, axes, layers):
                self.scales = options[best]

    def _groups(self, usable: Array) -> list[Array]:
        """Group the usable classes that share tensors."""
        rows, columns = [np.zeros(0, int)], [np.zeros(0, int)]
        for index, ids in enumerate(self._classes.values()):
            met = np.unique(ids[usable[ids]])
            rows.append(np.full(len(met), index))
            columns.append(met + len(self._classes))
        n = len(self._classes) + len(usable)
        row, column = np.concatenate(rows), np.concatenate(columns)
        _, labels = connected_components(coo_matrix((np.ones(len(row)), (row, column)), shape=(n, n)), directed=False)
        of_class = labels[len(self._classes) :]
        members = np.flatnonzero(usable)
        return [members[of_class[members] == label] for label in np.unique(of_class[members])]

    def _with(self, group: Array, alpha: float) -> Array:
        spans, weights = self._span[group], np.sqrt(self._gain[group])
        spans, weights = (np.maximum(sizes, max(_FLOOR * sizes.max(), _TINY)) for sizes in (spans, weights))
        selected = spans**alpha / weights ** (1 - alpha)
        scales: Array = self.scales.copy()
        scales[group] = selected * (spans / selected).max() / spans.max()  # keep the widest channel about as wide
        return scales

    def _noise(self, scales: Array, axes: Sequence[Axis], layers: Sequence[_Layer]) -> float:
        """Estimate noise over signal, summed over the layers that read the axes and those whose weights change."""
        noise = 0.0
        for axis in axes:
            s, seen = scales[self._classes[axis]], self._statistics[axis]
            low, high = float((seen.low / s).min()), float((seen.high / s).max())
            step = max(-low, high) / 127 if self._scheme.symmetric else (high - low) / 255
            noise += step**2 / 12 * float((s**2 * self._gain[self._classes[axis]]).sum())
        return noise + sum(self._weight_noise(layer, scales) for layer in layers)

    def _weight_noise(self, layer: _Layer, scales: Array) -> float:
        """Estimate the noise of the weights W[o, i] s[i] / s[o], rounded to steps of the largest."""
        into = scales[layer.inputs]
        out = np.ones(len(layer.largest)) if layer.outputs is None else scales[layer.outputs]
        groups = len(into) // layer.largest.shape[1]
        each = len(out) // groups
        scaled = (layer.largest * np.repeat(into.reshape(groups, -1), each, axis=0)).max(axis=1)
        steps = scaled if self._scheme.per_channel else out * (scaled / out).max()
        levels = 63 if self._scheme.reduce_range else 127
        power = np.repeat((layer.power / into**2).reshape(groups, -1).sum(axis=1), each)
        return float(((steps / levels) ** 2 / 12 * power).sum()) * layer.taps / layer.signal
