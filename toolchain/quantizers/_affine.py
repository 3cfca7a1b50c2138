"""Affine quantization: real = scale * (integer - zero_point)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.graphs.value_range import Range
from toolchain.quantizers import _kernel_pairs
from toolchain.quantizers._kernel_pairs import Pairing

_SMALLEST_SCALE = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Parameters:
    """Scale and zero point: scalars for a tensor, or vectors with one entry per channel of an axis."""

    scale: Array
    zero_point: Array


def for_activation(observed: Range, scheme: QuantizationScheme) -> Parameters:
    """Choose parameters that cover a range and zero, which padding and ReLU need to be exact.

    With n = 255 steps: scale = (high - low) / n, and the zero point is the integer that 0 maps to. A symmetric scheme
    spreads the larger side over 127 steps and puts zero in the middle. Source: B. Jacob et al. (2018), Quantization and
    Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, arXiv:1712.05877, section 3.
    """
    low, high = min(observed.low, 0.0), max(observed.high, 0.0)
    info = np.iinfo(scheme.activations)
    if scheme.symmetric:
        scale = max(-low, high) / 127
        zero_point = 0 if scheme.activations == "int8" else 128
    else:
        scale = (high - low) / 255
        zero_point = int(np.clip(round(info.min - low / scale), info.min, info.max)) if scale > 0 else info.min
    return Parameters(
        np.array(scale if scale > _SMALLEST_SCALE else 1.0, np.float32), np.array(zero_point, scheme.activations)
    )


def for_weight(
    weight: Array, axis: int, scheme: QuantizationScheme, pairings: Sequence[Pairing] | None = None
) -> Parameters:
    """Choose symmetric int8 parameters: 127 steps on each side, fewer where a kernel could saturate.

    A reduced range takes as many steps as no pair of weights can saturate with: 64 at least, and up to 127.

    Args:
        weight: a float array.
        axis: the axis of output channels, which have a scale each if the scheme is per channel.
        scheme: the runtime's int8 scheme.
        pairings: the ways in which kernels pair weights; any weight with any other, if None.
    """
    rows = _kernel_pairs.rows(weight.astype(np.float64), axis)
    largest = np.abs(rows).max(axis=1)
    if scheme.reduce_range:
        # Two weights that are rounded up have integers whose sum is larger by one at most, hence 127 and not 128.
        sums = [2 * largest] if pairings is None else [pairing.largest(rows) for pairing in pairings]
        largest = np.maximum.reduce([largest, *sums])
    if not scheme.per_channel:
        largest = largest.max()
    scale = (largest / 127).astype(np.float32)
    scale = np.where(scale > _SMALLEST_SCALE, scale, np.float32(1.0)).astype(np.float32)
    return Parameters(scale, np.zeros(scale.shape, np.int8))


def quantize_symmetric(array: Array, summed: tuple[int, ...]) -> tuple[Array, Array]:
    """Quantize to symmetric int8, with 127 steps up to the largest number along the summed axes.

    Returns:
        The integers, and scales that broadcast to them.
    """
    scale = (np.abs(array).max(axis=summed, keepdims=True) / 127).astype(np.float32)
    scale = np.where(scale > _SMALLEST_SCALE, scale, np.float32(1.0))
    return np.rint(array.astype(np.float64) / scale).astype(np.int8), scale


def quantize(array: Array, parameters: Parameters, axis: int | None = None) -> Array:
    """Quantize an array: round half to even, as the runtimes do, and saturate at the dtype's ends."""
    scale, zero_point = parameters.scale, parameters.zero_point
    if scale.ndim and axis is not None:
        shape = [1] * array.ndim
        shape[axis] = -1
        scale, zero_point = scale.reshape(shape), zero_point.reshape(shape)
    info = np.iinfo(zero_point.dtype)
    rounded = np.rint(array.astype(np.float64) / scale) + zero_point
    return np.asarray(np.clip(rounded, info.min, info.max), zero_point.dtype)


def rounded(array: Array, parameters: Parameters) -> Array:
    """Quantize and dequantize an array by scalar parameters: float32."""
    info, zero_point = np.iinfo(parameters.zero_point.dtype), float(parameters.zero_point)
    steps = np.clip(np.rint(array / parameters.scale), info.min - zero_point, info.max - zero_point)
    return np.asarray(steps * parameters.scale, np.float32)
