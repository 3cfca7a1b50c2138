"""The fit of efficiencies, on latencies that are made of known ones."""

from __future__ import annotations

import dataclasses

import pytest
from forecast_parts import models, observation
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbench.forecasts.device_rates import NoForecastError
from hwbench.forecasts.efficiency_fit import fit
from hwbench.forecasts.kernel_bounds import KernelBounds


def test_known_efficiencies_are_found():
    fitted = fit(models())
    assert fitted.shares["convolution, fp32"] == pytest.approx(0.8, rel=0.05)
    assert fitted.shares["elementwise"] == pytest.approx(0.4, rel=0.05)
    assert fitted.device_factors == {}
    for one in models():
        assert fitted.latency_ms(one) == pytest.approx(one.latency_ms, rel=0.03)


def test_one_odd_measurement_does_not_decide():
    known = models()
    odd = [dataclasses.replace(known[0], latency_ms=20 * known[0].latency_ms), *known[1:]]
    fitted = fit(odd)
    assert fitted.latency_ms(known[8]) == pytest.approx(known[8].latency_ms, rel=0.1)


@settings(max_examples=5, deadline=None)
@given(st.floats(0.3, 3.0))
def test_a_device_that_is_slower_in_all_has_a_factor_of_its_own(slower):
    fitted = fit([*models(), *models(device="another", slower=slower)])
    ratio = fitted.device_factors["another"] / fitted.device_factors["a board"]
    assert ratio == pytest.approx(slower, rel=0.1)
    unknown = dataclasses.replace(models()[3], device="a third")
    assert fitted.latency_ms(unknown) * fitted.device_factors["another"] == pytest.approx(
        fitted.latency_ms(dataclasses.replace(unknown, device="another"))
    )


def test_threads_and_starts_take_their_time():
    bounds = KernelBounds({"convolution, fp32": 0.01}, 100, 0)
    started = [
        observation(0.02 + 100 * 10_000 / 2e6, bounds, model="small"),
        observation(0.02 + 100 * 30_000 / 2e6, bounds, model="small", threads=2),
    ]
    fitted = fit([*models(), *started])
    assert fitted.product_cycles == pytest.approx(10_000, rel=0.2)
    assert fitted.thread_cycles == pytest.approx(20_000, rel=0.2)


def test_a_class_that_nothing_is_known_of_is_told_unless_it_hardly_matters():
    fitted = fit(models())
    with pytest.raises(NoForecastError, match="no device was measured with recurrent, fp32 on onnxruntime"):
        fitted.latency_ms(observation(bounds=KernelBounds({"recurrent, fp32": 1.0}, 1, 0)))
    bounds = KernelBounds({"convolution, fp32": 1.0, "movement": 0.05}, 1, 1)
    assert fitted.latency_ms(observation(bounds=bounds)) > 1.0
