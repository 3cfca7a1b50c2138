"""The output that a metric scores, its shape beside that of the labels, and samples of mixed sizes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import numpy as np

from runtimes.sample_arrays import RaggedArray
from runtimes.tensors import Array

P = ParamSpec("P")
T = TypeVar("T")


def one_by_one(
    function: Callable[Concatenate[Mapping[str, Any], Any, P], T],
) -> Callable[Concatenate[Mapping[str, Any], Any, P], T]:
    """Let a function that returns something for each sample take samples of mixed sizes, by calling it for each.

    Args:
        function: one of outputs and labels, whose result is an array, or a dict of arrays, samples first. What more
            it takes is the same for all samples.
    """

    @functools.wraps(function)
    def call(outputs: Mapping[str, Any], labels: Any, /, *more: P.args, **named: P.kwargs) -> T:
        if not any(isinstance(array, RaggedArray) for array in (*outputs.values(), labels)):
            return function(outputs, labels, *more, **named)
        found: list[Any] = [
            function(
                {name: np.asarray(array[row])[None] for name, array in outputs.items()}, labels_of[None], *more, **named
            )
            for row, labels_of in enumerate(map(np.asarray, labels))
        ]
        if isinstance(found[0], dict):
            return cast(T, {name: np.concatenate([each[name] for each in found]) for name in found[0]})
        return cast(T, np.concatenate(found))

    return call


def first(outputs: Mapping[str, Array]) -> Array:
    """Return the output that metrics of one output score: the first.

    Raises:
        ValueError: its samples are of mixed sizes.
    """
    name, array = next(iter(outputs.items()))
    if isinstance(array, RaggedArray):
        raise ValueError(f"output '{name}' has samples of mixed sizes, and the metric takes one size")
    return array


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
    if isinstance(labels, RaggedArray):
        raise ValueError("the labels are of mixed sizes, and the metric takes one size")
    if _squeezed(own) != _squeezed(labels):
        raise ValueError(f"{called(outputs)} is not that of the labels, {list(labels.shape)}; give one label per value")
    if labels.dtype.kind not in "biuf":
        raise ValueError(f"labels are {labels.dtype.name}; give numbers")
    return own.reshape(labels.shape), labels


def per_sample(function: Callable[[Array, Array], float], own: Array, wanted: Array) -> Array:
    """Compute a function of each sample and its label in float64, which all samples at once may have no room for."""
    return np.array([function(a.astype(np.float64), b.astype(np.float64)) for a, b in zip(own, wanted)], np.float64)


def mean_error(error: Callable[[Array], Array], outputs: Mapping[str, Array], labels: Array) -> Array:
    """Average each sample's errors, such as `np.abs` of the differences, for outputs of the labels' shape.

    Raises:
        ValueError: the output's shape is not that of the labels.
    """
    return per_sample(lambda own, wanted: float(error(own - wanted).mean()), *matching(outputs, labels))


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
