"""The output that a metric scores, and its shape beside that of the labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from runtimes.tensors import Array


def first(outputs: Mapping[str, Array]) -> Array:
    """Return the output that metrics of one output score: the first."""
    return next(iter(outputs.values()))


def called(outputs: Mapping[str, Array]) -> str:
    """Name the output that `first` returns for an error, with the others if there are any."""
    name, array = next(iter(outputs.items()))
    among = f" (the first of {', '.join(outputs)}; another one is METRIC:OUTPUT)" if len(outputs) > 1 else ""
    return f"output '{name}'{among} of shape {list(array.shape)}"


def matching(outputs: Mapping[str, Array], labels: Array) -> tuple[Array, Array]:
    """Return the output and the labels, both in the labels' shape; axes of length 1 may differ.

    Raises:
        ValueError: the shapes differ otherwise, or the labels are no numbers.
    """
    own = first(outputs)
    if _squeezed(own) != _squeezed(labels):
        raise ValueError(f"{called(outputs)} is not that of the labels, {list(labels.shape)}; give one label per value")
    if labels.dtype.kind not in "biuf":
        raise ValueError(f"labels are {labels.dtype.name}; give numbers")
    return own.reshape(labels.shape), labels


def per_sample(function: Callable[[Array, Array], float], own: Array, wanted: Array) -> Array:
    """Compute a function of each sample and its label in float64, which all samples at once may have no room for."""
    return np.array([function(a.astype(np.float64), b.astype(np.float64)) for a, b in zip(own, wanted)], np.float64)


def value_range(labels: Array) -> float:
    """Return the range of an image's values: 255 for uint8, else that of all labels.

    Raises:
        ValueError: all labels are equal.
    """
    if labels.dtype == np.uint8:
        return 255.0
    spread = float(labels.max()) - float(labels.min())
    if not spread > 0:
        raise ValueError("the labels are all equal, so they have no range")
    return spread


def _squeezed(array: Array) -> tuple[int, ...]:
    return (len(array), *(length for length in array.shape[1:] if length != 1))
