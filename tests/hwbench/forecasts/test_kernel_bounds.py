"""The bounds of kernels, by hand."""

from __future__ import annotations

import dataclasses

import pytest
from forecast_parts import KERNELS, RATES
from hypothesis import given
from hypothesis import strategies as st

from hwbench.forecasts.device_rates import NoForecastError
from hwbench.forecasts.kernel_bounds import kernel_bounds


def test_each_kernel_takes_the_larger_of_computing_and_moving():
    found = kernel_bounds(KERNELS, RATES)
    assert found.ms == {
        "convolution, fp32": pytest.approx(3 * 0.1),  # computing 0.1 ms, moving 0.01
        "convolution, int8": pytest.approx(2 * 0.1),
        "elementwise": pytest.approx(4 * 0.05),
    }
    assert (found.products, found.others) == (5, 4)


@given(st.floats(0.1, 10))
def test_a_device_that_is_faster_in_all_has_lower_bounds_by_as_much(times):
    rates = {precision: rate * times for precision, rate in RATES.operations_per_s.items()}
    faster = dataclasses.replace(RATES, operations_per_s=rates, bytes_per_s=RATES.bytes_per_s * times)
    for name, ms in kernel_bounds(KERNELS, RATES).ms.items():
        assert kernel_bounds(KERNELS, faster).ms[name] == pytest.approx(ms / times)


def test_a_precision_without_a_peak_and_kernels_that_were_not_counted_are_told():
    with pytest.raises(NoForecastError, match="no peak in int8"):
        kernel_bounds(KERNELS, dataclasses.replace(RATES, operations_per_s={"fp32": 1e11}))
    with pytest.raises(NoForecastError, match="cannot be counted"):
        kernel_bounds((), RATES)
