"""Scales and zero points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.graphs.value_range import Range
from toolchain.quantizers import _affine
from toolchain.quantizers._kernel_pairs import of_matrix

numbers = st.floats(-1e4, 1e4, width=32)
SCHEMES = [
    QuantizationScheme("uint8"),
    QuantizationScheme("int8"),
    QuantizationScheme("int8", symmetric=True),
    QuantizationScheme("uint8", symmetric=True),
]


@pytest.mark.parametrize("scheme", SCHEMES)
@given(a=numbers, b=numbers)
def test_the_range_survives_within_a_step_and_zero_exactly(scheme: QuantizationScheme, a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    parameters = _affine.for_activation(Range(low, high), scheme)
    values = np.array([low, 0.0, high], np.float32)
    integers = _affine.quantize(values, parameters).astype(np.float32)
    restored = (integers - parameters.zero_point.astype(np.float32)) * parameters.scale
    assert np.abs(restored - values).max() <= float(parameters.scale) * 1.001
    assert restored[1] == 0.0
    assert parameters.zero_point.dtype == scheme.activations


@pytest.mark.parametrize("reduce_range", [False, True])
@given(weight=hnp.arrays(np.float32, (4, 6), elements=st.floats(-100, 100, width=32)))
def test_weights_survive_within_half_a_step_per_channel(reduce_range: bool, weight: Array) -> None:
    scheme = QuantizationScheme(reduce_range=reduce_range)
    parameters = _affine.for_weight(weight, 0, scheme)
    integers = _affine.quantize(weight, parameters, axis=0)
    assert integers.dtype == np.int8
    assert np.abs(integers.astype(int)).max() <= (64 if reduce_range else 127)
    restored = integers * parameters.scale[:, None]
    assert np.all(np.abs(restored - weight) <= parameters.scale[:, None] * 0.501)


def test_a_constant_tensor_gets_a_scale_that_divides() -> None:
    assert _affine.for_activation(Range(0.0, 0.0), SCHEMES[0]).scale == 1.0
    assert (_affine.for_weight(np.zeros((3, 3), np.float32), 0, SCHEMES[0]).scale == 1.0).all()


@given(
    activations=hnp.arrays(np.int64, 2, elements=st.integers(0, 255)),
    weight=hnp.arrays(np.float32, (3, 2), elements=st.floats(-100, 100, width=32)),
    paired=st.booleans(),
)
def test_a_reduced_range_cannot_saturate_int16(activations: Array, weight: Array, paired: bool) -> None:
    """`reduce_range` exists since vpmaddubsw adds two u8 x s8 products in int16."""
    pairings = [of_matrix(2)] if paired else None
    parameters = _affine.for_weight(weight, 0, QuantizationScheme(reduce_range=True), pairings)
    integers = _affine.quantize(weight, parameters, axis=0).astype(np.int64)
    assert np.abs(integers @ activations).max() <= np.iinfo(np.int16).max


def test_a_reduced_range_reduces_nothing_that_cannot_saturate() -> None:
    weight = np.array([[1.0, -1.0, 0.9, 0.05], [1.0, 0.5, 0.9, 0.05], [1.0, 1.0, 0.9, 0.05]], np.float32)
    parameters = _affine.for_weight(weight, 0, QuantizationScheme(reduce_range=True), [of_matrix(4)])
    integers = _affine.quantize(weight, parameters, axis=0)
    assert integers[:, 0].tolist() == [127, 85, 64]
