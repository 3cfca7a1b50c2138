"""Reports that forecasts learn from."""

from __future__ import annotations

import dataclasses

import pytest
from forecast_parts import KERNELS

from hwbench.machine import device_profiles
from hwbench.results.observations_in_reports import read_observations
from hwbench.results.profile_results import CandidateResult, ProfileResult, of, to_json
from runtimes.bundles.work import Work
from runtimes.errors import UsageError


@pytest.fixture
def write(make_report, make_latency, tmp_path):
    def written(profile="rpi5"):
        found = make_report(latency=make_latency(median_ms=10, runs=400))
        work = Work({"fp32": 1, "int8": 1}, {}, 0, (), KERNELS)
        full = dataclasses.replace(found, artifact=dataclasses.replace(found.artifact, work=work))
        reports = (full, dataclasses.replace(full, latency=None), None)
        entries = [
            CandidateResult(f"c{n}", "fp32", "onnxruntime", "measured", "", one) for n, one in enumerate(reports)
        ]
        file = tmp_path / "report.json"
        file.write_text(to_json(of([ProfileResult("net", profile, (), tuple(entries))])))
        return file

    return written


def test_what_was_measured_is_read_and_why_the_rest_is_not(write):
    found = read_observations(write())
    (one,) = found.observations
    assert one.latency_ms == pytest.approx(10, rel=0.05)
    assert found.reasons == ("latency was not measured",)


def test_a_profile_of_the_user_s_own_has_to_be_given(write):
    with pytest.raises(UsageError, match="'my-board' is no profile that ships; give its file"):
        read_observations(write("my-board"))
    own = dataclasses.replace(device_profiles.load("rpi5"), name="my-board", title="Ours")
    assert read_observations(write("my-board"), own).observations[0].device == "Ours"


def test_a_file_that_is_no_report_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(UsageError, match="follows report schema"):
        read_observations(tmp_path / "a.json")
    with pytest.raises(UsageError, match="cannot be read"):
        read_observations(tmp_path / "none.json")
