"""Specifications of a model's inputs and outputs, and checks that arrays fit them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runtimes.errors import BackendError, FeedError, TamperedError

Array = np.ndarray[Any, np.dtype[Any]]
Feeds = Mapping[str, Array]

_DTYPES = {
    name: np.dtype(name)
    for name in "bool float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()
}


@dataclass(frozen=True)
class TensorSpec:
    """The name, type and shape of one input or output.

    Attributes:
        name: the model's name for the tensor.
        dtype: NumPy's name of the type ("float32", "int64", "bool"), or "bfloat16", which NumPy lacks.
        shape: sizes; a string is a dynamic dimension, and equal strings are equal sizes.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def __post_init__(self) -> None:
        if any(isinstance(size, int) and size < 0 for size in self.shape):
            raise ValueError(f"has shape {list(self.shape)}; expected sizes of 0 or more, or names")

    def __str__(self) -> str:
        return f"{self.name}={self.dtype}[{','.join(map(str, self.shape))}]"

    @property
    def is_static(self) -> bool:
        """True if no dimension is dynamic."""
        return all(isinstance(size, int) for size in self.shape)

    def resolve(self, sizes: Mapping[str, int], default: int = 1) -> tuple[int, ...]:
        """Return the shape with dynamic dimensions taken from `sizes`, or `default` if `sizes` lacks one."""
        return tuple(size if isinstance(size, int) else sizes.get(size, default) for size in self.shape)


def check_feeds(specs: Sequence[TensorSpec], feeds: Feeds) -> dict[str, int]:
    """Check that arrays fit the specifications of inputs.

    Returns:
        The sizes that the dynamic dimensions took.

    Raises:
        FeedError: a name is missing or unknown, or a dtype or a shape differs; says which one is expected.
    """
    if type(feeds) is not dict and not isinstance(feeds, Mapping):  # isinstance() of an abstract class is slow
        raise FeedError(f"Inputs are a {type(feeds).__name__}; pass a dict of {', '.join(map(str, specs))}.")
    if len(feeds) != len(specs) or any(spec.name not in feeds for spec in specs):
        raise FeedError(_names_message(specs, feeds))
    sizes: dict[str, int] = {}
    for spec in specs:
        array = feeds[spec.name]
        if not isinstance(array, np.ndarray):
            raise FeedError(f"Input '{spec.name}' is a {type(array).__name__}; pass a NumPy array of {spec}.")
        if array.dtype is not _DTYPES.get(spec.dtype):  # NumPy has one object per type; comparing names would take 1 us
            _check_dtype(spec, array)
        if len(array.shape) != len(spec.shape) or not all(
            sizes.setdefault(want, got) == got if isinstance(want, str) else want == got
            for want, got in zip(spec.shape, array.shape)
        ):
            raise FeedError(_shape_message(spec, array, sizes))
    return sizes


def _check_dtype(spec: TensorSpec, array: Array) -> None:
    if array.dtype.name != spec.dtype:
        raise FeedError(
            f"Input '{spec.name}' is {array.dtype.name}; expected {spec.dtype}. "
            f"Convert it with .astype('{spec.dtype}')."
        )
    if not array.dtype.isnative:  # ONNX Runtime would read the bytes in native order, and compute nonsense
        raise FeedError(
            f"Input '{spec.name}' is {spec.dtype} in another byte order than this machine's ('{array.dtype.str}'). "
            f"Convert it with .astype('{spec.dtype}')."
        )


def check_outputs(specs: Sequence[TensorSpec], outputs: Mapping[str, Array], sizes: Mapping[str, int]) -> None:
    """Check that computed outputs are what a bundle declares.

    Args:
        specs: the outputs' specifications.
        outputs: the arrays that a runtime computed.
        sizes: the sizes that the inputs gave to dynamic dimensions.

    Raises:
        BackendError: a dtype or a shape differs from the declaration.
    """
    known = dict(sizes)
    for spec in specs:
        array = outputs[spec.name]
        if array.dtype is not _DTYPES.get(spec.dtype, array.dtype) and array.dtype.name != spec.dtype:
            raise BackendError(f"The runtime returned output '{spec.name}' as {array.dtype.name}; declared is {spec}.")
        if len(array.shape) != len(spec.shape) or not all(
            known.setdefault(want, got) == got if isinstance(want, str) else want == got
            for want, got in zip(spec.shape, array.shape)
        ):
            taken = ", ".join(f"{name} = {size}" for name, size in sizes.items())
            raise BackendError(
                f"The runtime returned output '{spec.name}' of shape {list(array.shape)}; declared is {spec}"
                f"{f', and the inputs give {taken}' if taken else ''}."
            )


def check_out(specs: Sequence[TensorSpec], out: Mapping[str, Array], feeds: Feeds) -> None:
    """Check arrays that outputs will be written into; sizes of dynamic dimensions are known only after the run.

    Raises:
        FeedError: an array is missing, unknown, of another dtype or shape, read-only, or shares memory with another or
            with itself.
    """
    if not isinstance(out, (dict, Mapping)) or len(out) != len(specs) or any(spec.name not in out for spec in specs):
        raise FeedError(f"`out` must be a dict with an array for each of {', '.join(map(str, specs))}, and no other.")
    for index, spec in enumerate(specs):
        array = out[spec.name]
        if (
            not isinstance(array, np.ndarray)
            or (array.dtype is not _DTYPES.get(spec.dtype) and array.dtype.name != spec.dtype)
            or not array.dtype.isnative
            or len(array.shape) != len(spec.shape)
            or any(isinstance(want, int) and want != got for want, got in zip(spec.shape, array.shape))
        ):
            given = f"{array.dtype.name}{list(array.shape)}" if isinstance(array, np.ndarray) else type(array).__name__
            raise FeedError(f"The array for output '{spec.name}' is {given}; pass an array of {spec}.")
        if not array.flags.writeable:
            raise FeedError(f"The array for output '{spec.name}' is read-only; pass an array that can be written to.")
        if _overlaps_itself(array):
            raise FeedError(
                f"The array for output '{spec.name}' has elements that share memory; pass an array without."
            )
        for other in (*feeds.values(), *(out[earlier.name] for earlier in specs[:index])):
            if np.may_share_memory(array, other):
                raise FeedError(
                    f"The array for output '{spec.name}' shares memory with another array; pass a separate array."
                )


def _overlaps_itself(array: Array) -> bool:
    """Tell whether two elements may share memory, as in a broadcast array; true for other interleaved strides, too."""
    if array.flags.c_contiguous or array.flags.f_contiguous or not array.size:
        return False
    end = array.itemsize  # of the elements along the axes so far, which the next axis must step over
    for stride, size in sorted((abs(stride), size) for stride, size in zip(array.strides, array.shape) if size > 1):
        if stride < end:
            return True
        end += stride * (size - 1)
    return False


def check_reported(
    kind: str, specs: Sequence[TensorSpec], reported: Mapping[str, tuple[str, int | None]], *, exactly: bool
) -> None:
    """Check that a model's inputs or outputs, as its runtime reports them, are what a manifest declares.

    Args:
        kind: "input" or "output".
        specs: the declared ones.
        reported: dtype and number of axes by name; the number is None if the model does not fix it.
        exactly: whether the model may have no others.

    Raises:
        TamperedError: a name is missing or undeclared, or a dtype or a number of axes differs.
    """
    declared = {spec.name: spec for spec in specs}
    missing = sorted(declared.keys() - reported.keys())
    extra = sorted(reported.keys() - declared.keys()) if exactly else []
    if missing or extra:
        faults = [f"lacks the {kind} {', '.join(map(repr, missing))}, which its manifest declares"] if missing else []
        faults += [f"has the {kind} {', '.join(map(repr, extra))}, which its manifest lacks"] if extra else []
        raise TamperedError(f"The model {' and '.join(faults)}.")
    for name, spec in declared.items():
        dtype, axes = reported[name]
        if dtype != spec.dtype or axes not in (None, len(spec.shape)):
            found = dtype if axes is None else f"{dtype} with {axes} axes"
            raise TamperedError(f"The model's {kind} '{name}' is {found}; its manifest declares {spec}.")


def _shape_message(spec: TensorSpec, array: Array, sizes: Mapping[str, int]) -> str:
    clashes = {
        f"{want} = {sizes[want]}"
        for want, got in zip(spec.shape, array.shape)
        if isinstance(want, str) and sizes.get(want, got) != got
    }
    taken = f", where another input already set {' and '.join(sorted(clashes))}" if clashes else ""
    return f"Input '{spec.name}' has shape {list(array.shape)}; expected [{', '.join(map(str, spec.shape))}]{taken}."


def _names_message(specs: Sequence[TensorSpec], feeds: Feeds) -> str:
    wanted = {spec.name for spec in specs}
    missing, unknown = sorted(wanted - set(feeds)), sorted(set(feeds) - wanted, key=str)
    problems = [f"missing {', '.join(map(repr, missing))}"] if missing else []
    problems += [f"unknown {', '.join(map(repr, unknown))}"] if unknown else []
    return f"Inputs {' and '.join(problems)}; the model takes {', '.join(map(str, specs))}."
