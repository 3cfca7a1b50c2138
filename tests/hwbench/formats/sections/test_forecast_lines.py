"""The section of forecasts: apart from figures, and never a verdict."""

from __future__ import annotations

import dataclasses

import formats_data
import pytest

from hwbench.forecasts.forecast import Forecast
from hwbench.forecasts.held_out_error import HeldOutError
from hwbench.formats.sections.forecast_lines import errors, forecasts
from hwbench.results.profile_results import from_json, of, to_json

ERROR = HeldOutError("onnxruntime", 19, 67, 0.67, 2.12, 2.86, ("a board, hot", "another"), 1.96)


@pytest.fixture
def result():
    found = formats_data.measured_result()
    made = {"fp32": Forecast(9.27, 111.4), "int8": Forecast(missing="the device has no peak in fp16")}
    candidates = tuple(dataclasses.replace(one, forecast=made.get(one.precision)) for one in found.candidates)
    return dataclasses.replace(found, candidates=candidates, forecast_errors=(ERROR,))


def test_a_range_is_called_a_forecast_and_what_is_missing_is_said(result):
    assert [said for _, said in forecasts(result)] == [
        "forecast 9.27 to 111 ms, not measured",
        "none: the device has no peak in fp16",
    ]


def test_the_error_on_what_was_left_out_stands_beside_it(result):
    ((name, said),) = errors(result)
    assert name == "error, onnxruntime"
    assert "19 models that they were not fitted on: 67% of 67 forecasts within a factor of 1.5" in said
    assert "nine of ten within 2.1, the worst 2.9; of a device" in said
    assert said.endswith("learnt on a board, hot; another")
    alone = dataclasses.replace(result, forecast_errors=(dataclasses.replace(ERROR, device_factor=None),))
    assert "of another device, the error is not known" in errors(alone)[0][1]


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_every_report_for_people_shows_it_in_a_place_of_its_own(result, form):
    page = formats_data.rendered.__wrapped__(form, lambda: result)
    assert "not measured" in page
    assert "9.27 to 111 ms" in page
    assert "no peak in fp16" in page


@pytest.mark.parametrize("form", ["csv", "junit", "github"])
def test_formats_for_machines_hold_figures_that_were_measured_alone(result, form):
    assert "9.27" not in formats_data.rendered.__wrapped__(form, lambda: result)


def test_report_json_keeps_it(result):
    assert from_json(to_json(of([result])), "report.json").profiles[0] == result


def test_no_verdict_and_no_status_depends_on_it(result):
    plain = formats_data.measured_result()
    assert [one.outcome for one in result.candidates] == [one.outcome for one in plain.candidates]
    assert result.outcome == plain.outcome
