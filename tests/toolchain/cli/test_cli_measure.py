"""`measure` on the command line: bundles and bare models."""

from __future__ import annotations

import pytest

from hwbench.results import profile_results
from runtimes.sampling.closed_loop import UNLIMITED_RUNS
from toolchain.cli._options import sampling_plan

QUICK = ("--duration", "0.05")

pytestmark = pytest.mark.usefixtures("one_process")  # but `built`, whose models run in processes of their own


def test_measure_takes_a_bundle(cli, built_bundle, tmp_path):
    ran = cli("measure", built_bundle, *QUICK, "--out", tmp_path / "again.json", "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    results = profile_results.from_json(ran.out, "stdout")
    entry = results.profiles[0].selected
    assert len(entry.report.latency.blocks) == 6
    assert entry.report.accuracy.metric == "top1"
    assert profile_results.from_json((tmp_path / "again.json").read_text(), "again.json") == results
    assert cli("gate", tmp_path / "again.json", "--budget", "p90<=1s").code == 0


@pytest.mark.parametrize(
    ("command", "default"), [("measure", "1, or 2,500 inferences"), ("gate", "0.1, or 1,000 inferences")]
)
def test_a_duration_is_at_least_what_was_asked_for(cli, command, default):
    assert f"[default: {default}]" in " ".join(cli(command, "--help").out.split())
    assert (sampling_plan(0.2).duration_s, sampling_plan(0.2).max_runs) == (0.2, UNLIMITED_RUNS)


def test_peaks_come_first_so_that_an_interrupt_loses_no_measurement(cli, built_bundle, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def measured(*_: object) -> None:
        raise AssertionError("it measured first")

    monkeypatch.setattr("toolchain.pipeline.machine_peaks.known_or_measured", interrupted)
    monkeypatch.setattr("hwbench.targets.local.LocalTarget.sample", measured)
    assert cli("measure", built_bundle, *QUICK).code == 130


def test_measure_takes_a_bare_model(cli, digits, device_file, temp_folder):
    ran = cli(
        *("measure", digits.onnx, "--profile", device_file, "--threads", "2", *QUICK, "--format", "json"),
        *("--evaluation", digits.evaluation, "--metric", "top5"),
    )
    assert (ran.code, ran.err) == (0, "")
    report = profile_results.from_json(ran.out, "stdout").profiles[0].selected.report
    assert report.latency.threads == 2
    assert report.accuracy.metric == "top5"
    assert report.accuracy.value > 0.95
