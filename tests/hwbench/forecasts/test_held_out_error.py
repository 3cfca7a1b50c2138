"""The error on what a forecast was not fitted on."""

from __future__ import annotations

import dataclasses

import pytest
from forecast_parts import models, observation

from hwbench.forecasts.held_out_error import held_out_error, hold_out, hold_out_devices
from hwbench.forecasts.kernel_bounds import KernelBounds


def test_what_follows_the_law_is_within_the_factor_that_is_aimed_at():
    error = held_out_error(models())
    assert (error.models, error.forecasts, error.within, error.factor) == (12, 12, 1.0, 1.5)
    assert error.worst < 1.2
    assert (error.devices, error.device_factor) == (("a board",), None)
    assert error.both == pytest.approx(1.5)


def test_the_range_is_widened_until_nine_of_ten_are_in_it():
    known = [
        dataclasses.replace(one, latency_ms=one.latency_ms * (3 if n < 4 else 1)) for n, one in enumerate(models())
    ]
    error = held_out_error(known)
    factors = [one.factor for one in hold_out(known, lambda one: one.model)]
    assert error.within < 0.9
    assert sum(factor <= error.factor for factor in factors) / len(factors) >= 0.9


def test_a_model_is_left_out_with_all_that_was_measured_of_it():
    twice = [*models(4), *models(4, device="another")]
    lone = observation(1.0, KernelBounds({"recurrent, fp32": 1.0}, 1, 0), model="lone")
    found = hold_out([*twice, lone], lambda one: one.model)
    assert len(found) == len(twice)  # nothing is known of the lone one's class
    assert held_out_error([lone]) is None


def test_a_device_is_left_out_for_models_that_others_measured():
    known = [*models(6), *models(3, device="another", slower=2.0)]
    found = hold_out_devices(known)
    assert {one.observation.model for one in found} == {"net1", "net2", "net3"}
    error = held_out_error(known)
    assert error.device_factor == pytest.approx(2.0, rel=0.15)
    assert error.both > max(error.factor, error.device_factor)
