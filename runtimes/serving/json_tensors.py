"""Tensors as JSON: values in lists become arrays. Nothing is allocated before it is known to be numbers that fit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from runtimes.errors import UsageError
from runtimes.tensors import Array

_TYPES: dict[str, set[type]] = {"b": {bool}, "i": {int}, "u": {int}, "f": {int, float}}
_LONGEST = {
    "bool": 5,
    "int8": 4,
    "uint8": 3,
    "int16": 6,
    "uint16": 5,
    "int32": 11,
    "uint32": 10,
    "int64": 20,
    "uint64": 20,
}
_LONGEST_FLOAT = 24  # characters of -1.7976931348623157e+308; a float32 is written as the float64 that equals it


def longest_value(dtype: str) -> int:
    """Count the bytes that one value of a type takes in JSON at most, with its comma and a space."""
    return _LONGEST.get(dtype, _LONGEST_FLOAT) + 2


def from_json(data: Any, dtype: np.dtype[Any], shape: Sequence[int], count: int, name: str) -> Array:
    """Read the values of one tensor.

    Args:
        data: its `data`: numbers in a list, or in lists of lists of equal lengths, in row-major order.
        dtype: its type, which has to hold every value.
        shape: its shape.
        count: number of values of this shape.
        name: its name, for errors.

    Raises:
        UsageError: the data are no such list, or hold another number of values, or values that do not fit.
    """
    try:
        values = _flat(data)
        if len(values) != count:
            raise ValueError(f"it holds {len(values):,} values")
        kinds = set(map(type, values)) - _TYPES[dtype.kind]
        if kinds:
            raise ValueError(f"it holds {', '.join(sorted(kind.__name__ for kind in kinds))}")
        return _array(values, dtype).reshape(shape)
    except (ValueError, OverflowError, FloatingPointError) as error:
        raise UsageError(f"Input '{name}' holds no `data` for {dtype.name}{list(shape)}: {error}.") from None


def _flat(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise ValueError("it is no list")
    flat = data
    while flat and isinstance(flat[0], list):
        if set(map(type, flat)) != {list} or len(set(map(len, flat))) > 1:
            raise ValueError("its lists have different lengths")
        flat = list(chain.from_iterable(flat))
    return flat


def _array(values: list[Any], dtype: np.dtype[Any]) -> Array:
    if dtype.kind in "iu" and values:
        bounds = np.iinfo(dtype)
        if min(values) < bounds.min or max(values) > bounds.max:
            raise ValueError("it holds values that do not fit")
    if dtype.kind != "f":
        return np.array(values, dtype)
    with np.errstate(over="raise"):
        return np.array(values, np.float64).astype(dtype)
