"""What ships, and what a user adds to it."""

from __future__ import annotations

import dataclasses

import pytest
from forecast_parts import models, observation

from hwbench.forecasts import learnt_devices
from hwbench.forecasts.held_out_error import hold_out
from hwbench.forecasts.runtime_fit import fit_runtimes
from hwbench.machine import device_profiles


@pytest.fixture
def nothing_learnt(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_what_ships_says_where_it_is_from_and_its_fits_are_those_of_its_observations():
    shipped = learnt_devices.shipped()
    assert any("ONNX Runtime" in sentence and "threads" in sentence for sentence in shipped.about)
    assert len({one.model for one in shipped.observations}) >= 10
    for one, again in zip(shipped.fits, fit_runtimes(shipped.observations), strict=True):
        assert one.error.factor == pytest.approx(again.error.factor, rel=0.02)
        assert dict(one.efficiencies.shares) == pytest.approx(dict(again.efficiencies.shares), rel=0.05)


def test_nine_of_ten_models_that_were_left_out_are_within_the_range_that_ships():
    shipped = learnt_devices.shipped()
    for one in shipped.fits:
        known = [each for each in shipped.observations if each.runtime == one.error.runtime]
        factors = [each.factor for each in hold_out(known, lambda each: each.model)]
        assert sum(factor <= one.error.factor * 1.001 for factor in factors) >= 0.9 * len(factors)


@pytest.mark.usefixtures("nothing_learnt")
def test_a_user_s_observations_are_remembered_replaced_and_forgotten():
    board = device_profiles.load("rpi5").title
    assert learnt_devices.learn(models(3, device=board)) == 3
    newer = dataclasses.replace(models(1, device=board)[0], latency_ms=7.0)
    assert learnt_devices.learn([newer]) == 3
    assert {one.latency_ms for one in learnt_devices.learnt_observations() if one.model == "net1"} == {7.0}
    fits = learnt_devices.known_fits()
    assert board in fits["onnxruntime"].error.devices
    assert board in fits["onnxruntime"].efficiencies.device_factors
    assert learnt_devices.known_fits() == fits  # from the cache
    learnt_devices.forget()
    assert learnt_devices.learnt_observations() == ()
    assert board not in learnt_devices.known_fits()["onnxruntime"].error.devices


@pytest.mark.usefixtures("nothing_learnt")
def test_another_runtime_is_known_once_two_models_were_learnt():
    learnt_devices.learn([observation(runtime="tensorrt")])
    assert "tensorrt" not in learnt_devices.known_fits()
    learnt_devices.learn([observation(runtime="tensorrt", model="another")])
    assert "tensorrt" in learnt_devices.known_fits()
