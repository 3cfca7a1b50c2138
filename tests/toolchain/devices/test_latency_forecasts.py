"""A build for a device that is not here: its latency is forecast, and no budget is met by that."""

from __future__ import annotations

import dataclasses

import pytest

from hwbench.budgets.budget import parse_all
from hwbench.machine import device_profiles
from hwbench.results.profile_results import from_json
from runtimes.bundles.bundle import Bundle
from toolchain.devices.device_match import DeviceMatch
from toolchain.devices.latency_forecasts import with_forecasts
from toolchain.pipeline import build as pipeline
from toolchain.pipeline.build import build

pytestmark = pytest.mark.usefixtures("one_process")
PI = device_profiles.load("rpi5")


@pytest.fixture
def built(digits_request, monkeypatch):
    monkeypatch.setattr(pipeline, "device_of", lambda profile, machine: None)
    asked = digits_request(profiles=(PI,), runtimes=("onnxruntime",), precisions=("fp32", "int8"))
    return build(dataclasses.replace(asked, budgets=parse_all(["p90<=1000s", "accuracy_drop<=0.05"]))), asked


def test_each_candidate_has_a_range_and_a_budget_stays_not_measured(built):
    results, asked = built
    (result,) = results.profiles
    assert result.selected is not None
    for one in result.candidates:
        assert (one.forecast is None) == (one.report is None)
    assert 0 < result.selected.forecast.low_ms < result.selected.forecast.high_ms < 1e6
    verdict = next(one for one in result.selected.verdicts if one.budget.text.startswith("p90"))
    assert verdict.outcome == "inconclusive"
    assert result.outcome == "inconclusive"
    assert result.selected.report.latency is None
    assert [error.runtime for error in result.forecast_errors] == ["onnxruntime"]
    kept = from_json((asked.out / "report.json").read_text(), "report.json").profiles[0]
    assert kept.selected.forecast == result.selected.forecast
    with Bundle(result.bundle) as bundle:
        assert bundle.manifest.artifact.work.kernels


def test_this_machine_is_measured_and_has_no_forecast(built):
    (result,) = built[0].profiles
    plain = dataclasses.replace(result, forecast_errors=())
    assert with_forecasts(plain, PI, DeviceMatch(True, ())) == plain
