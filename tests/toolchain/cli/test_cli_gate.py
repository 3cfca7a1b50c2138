"""edgewright gate, whose exit codes CI acts on, and the formats that it prints."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shutil
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hwbench.gate.gate import Gated
from hwbench.gate.gate_self_test import SelfTest, Trials
from hwbench.layers.layer_changes import LayerChanges
from hwbench.results import history, profile_results
from hwbench.results.opened_bundle import open_bundle
from runtimes.errors import UsageError
from toolchain.cli import _gate_reports
from toolchain.cli._options import FORMATS
from toolchain.packaging.pack import pack

QUICK = ("--duration", "0.05")

pytestmark = pytest.mark.usefixtures("one_process")


@pytest.fixture(scope="module")
def report(built) -> Path:
    return built / "report.json"


@pytest.mark.parametrize(
    ("code", "budgets"),
    [
        (0, ["p90<=1s", "accuracy_drop<=0.05"]),
        (1, ["p90<=0.01us"]),
        (2, ["p42<=20ms"]),
        (3, ["p90<=1s", "accuracy>={accuracy}"]),
    ],
)
def test_gate_has_four_answers(cli, built_bundle, report, code, budgets):
    selected = profile_results.from_json(report.read_text(), "report").profiles[0].selected
    limits = [text.format(accuracy=selected.report.accuracy.value) for text in budgets]
    ran = cli("gate", built_bundle, *QUICK, *(word for text in limits for word in ("--budget", text)))
    assert ran.code == code
    answer = {0: "pass", 1: "fail", 3: "inconclusive"}.get(code)
    if answer is None:
        assert ran.out == ""
    else:
        assert ran.out.startswith(f"digits for bench: {answer}\n")
        assert ran.err == ""


def test_how_sure_a_gate_has_to_be_of_the_accuracy_can_be_told(cli, report):
    (stored,) = profile_results.from_json(report.read_text(), "report").profiles
    probability = stored.selected.report.accuracy.inference().at_least(0.9)
    assert 0.5 < probability < 0.9999
    for asked, code in ((probability - 1e-6, 0), (probability + 1e-6, 3)):
        ran = cli("gate", report, "--budget", "accuracy>=0.9", "--confidence", asked, "--format", "json")
        (found,) = profile_results.from_json(ran.out, "gate").profiles
        assert (ran.code, found.confidence) == (code, asked)
        assert found.selected.verdicts[0].probability == pytest.approx(probability)
    assert cli("gate", report, "--budget", "accuracy>=0.9", "--confidence", "95").code == 2


def test_a_candidate_far_below_the_baseline_fails_though_its_own_source_is_as_bad(cli, report, tmp_path):
    results = profile_results.from_json(report.read_text(), "report")
    (profile,) = results.profiles
    kept = profile.selected
    scores = tuple(0.0 if index % 10 == 0 else score for index, score in enumerate(kept.report.accuracy.scores))
    worse = dataclasses.replace(
        kept.report.accuracy, value=float(np.mean(scores)), scores=scores, reference=None, is_source=True, flips=None
    )
    entry = dataclasses.replace(kept, report=dataclasses.replace(kept.report, accuracy=worse))
    candidate = tmp_path / "candidate.json"
    candidate.write_text(
        profile_results.to_json(profile_results.of([dataclasses.replace(profile, candidates=(entry,))]))
    )
    assert cli("gate", candidate, "--budget", "accuracy_drop<=0.01").code == 0
    ran = cli("gate", candidate, "--baseline", report, "--budget", "accuracy_drop<=0.01")
    assert ran.code == 1
    assert "against the baseline exceeds 0.0100" in " ".join(ran.out.split())


@pytest.mark.parametrize(("mapped", "code"), [("fail", 1), ("pass", 0), ("report", 3)])
def test_an_inconclusive_verdict_is_mapped_only_where_asked(cli, report, mapped, code):
    selected = profile_results.from_json(report.read_text(), "report").profiles[0].selected
    ran = cli("gate", report, "--budget", f"accuracy>={selected.report.accuracy.value}", "--inconclusive", mapped)
    assert ran.code == code
    assert "inconclusive" in ran.out


def test_gate_of_a_device_that_is_not_here_is_inconclusive(cli, digits, elsewhere, tmp_path):
    built = cli(
        *("build", digits.onnx, "--profile", elsewhere.name, "--runtime", "onnxruntime", "--precision", "fp32"),
        *("--evaluation", digits.evaluation, "--budget", "accuracy>=0.5", "--out", tmp_path),
    )
    assert built.code == 0
    ran = cli("gate", tmp_path / f"digits-{elsewhere.name}.edge", "--budget", "p90<=1s")
    assert ran.code == 3
    assert "not measured" in ran.out or "does not fit the profile" in ran.out


def test_gate_compares_two_bundles_here_and_now(cli, built_bundle, tmp_path):
    shutil.copy(built_bundle, tmp_path / "old.edge")
    asked = ("gate", built_bundle, "--baseline", tmp_path / "old.edge", "--format", "json", "--duration", "0.1")
    ran = cli(*asked, "--budget", "size<=+1%", "--budget", "p50<=+400%", "--budget", "accuracy_drop<=0.05")
    (found,) = json.loads(ran.out)["profiles"]
    outcomes = {verdict["budget"]["text"]: verdict["outcome"] for verdict in found["candidates"][0]["verdicts"]}
    assert outcomes == {"size<=+1%": "pass", "p50<=+400%": "pass", "accuracy_drop<=0.05": "pass"}
    name = open_bundle(built_bundle).packed.candidate
    assert [entry["name"] for entry in found["candidates"]] == [f"{name} (candidate)", f"{name} (baseline)"]
    assert ran.code == 0


def test_gate_says_at_once_that_no_meter_can_judge_a_budget(cli, built_bundle, monkeypatch):
    monkeypatch.setattr(
        "hwbench.budgets.energy_budgets.Energy", lambda on_gpu: SimpleNamespace(missing="no meter at all")
    )
    ran = cli("gate", built_bundle, *QUICK, "--budget", "energy<=5mJ", "--max-time", "1")
    said = "Budget energy<=5mJ cannot be judged on this machine: no meter at all."
    assert ran.err == f"{said}\n"
    assert said in " ".join(ran.out.split())


def test_gate_judges_a_report_by_the_samples_it_holds(cli, report):
    assert cli("gate", report, "--budget", "p90<=1s").code == 0
    assert cli("gate", report, "--budget", "p90<=1us").code == 1
    assert cli("gate", report, "--baseline", report, "--budget", "size<=+1%").code == 0


def test_gate_does_not_compare_a_report_with_a_bundle(cli, report, built_bundle):
    ran = cli("gate", report, "--baseline", built_bundle, "--budget", "size<=+1%")
    assert (ran.code, ran.out) == (2, "")
    assert "give the candidate's bundle, or a report.json as --baseline." in ran.err


@pytest.mark.parametrize("candidate", ["report.json", "digits-bench.edge"])
@pytest.mark.parametrize("baseline", ["nosuch", "nosuch.edge", "nosuch.json"])
def test_a_baseline_that_is_missing_is_called_missing(cli, built, candidate, baseline):
    ran = cli("gate", built / candidate, "--baseline", baseline, "--budget", "size<=+1%")
    assert (ran.code, ran.out) == (2, "")
    assert f"Error: There is no file '{baseline}'" in ran.err


def test_a_comparison_with_a_report_says_that_runs_were_not_interleaved(cli, report, built_bundle):
    def caveats(candidate, *budgets):
        given = [word for budget in budgets for word in ("--budget", budget)]
        ran = cli("gate", candidate, "--baseline", report, *given, *QUICK, "--format", "json")
        assert ran.code in (0, 3), ran.err
        return " ".join(json.loads(ran.out)["profiles"][0]["caveats"])

    assert "The two reports were measured at different times" in caveats(report, "p50<=+400%")
    bundle = caveats(built_bundle, "p50<=+400%", "size<=+1%")
    assert "The candidate and the baseline's report were measured at different times" in bundle
    assert caveats(report, "size<=+1%", "p90<=1s") == ""


def test_gate_can_score_on_other_samples(cli, built_bundle, digits, tmp_path):
    with np.load(digits.evaluation) as data:
        np.savez(tmp_path / "wrong.npz", image=data["image"], labels=(data["labels"] + 1) % 10)
    asked = ("gate", built_bundle, *QUICK, "--budget", "accuracy>=0.5")
    assert cli(*asked, "--evaluation", digits.evaluation).code == 0
    assert cli(*asked, "--evaluation", tmp_path / "wrong.npz").code == 1


def test_every_format_is_what_it_says(cli, report):
    asked = ("gate", report, "--budget", "p90<=1s", "--budget", "size<=1kB", "--format")
    printed = {form: cli(*asked, form) for form in FORMATS if form != "html"}
    assert {ran.code for ran in printed.values()} == {1}
    assert {"csv", "github", "json", "junit", "markdown", "text"} <= printed.keys()
    (issue,) = json.loads(printed["gitlab"].out)
    assert issue["check_name"] == "edgewright size<=1kB"
    assert "::error title=size<=1kB%3A fail::" in printed["github"].out
    assert profile_results.from_json(printed["json"].out, "stdout").outcome == "fail"
    rows = list(csv.DictReader(io.StringIO(printed["csv"].out)))
    assert len(rows) == 1
    suite = ET.fromstring(printed["junit"].out)
    assert len(list(suite.iter("failure"))) == 1
    assert len(list(suite.iter("testcase"))) == 2
    assert "|" in printed["markdown"].out
    assert "size<=1kB" in printed["text"].out
    assert "\x1b" not in printed["text"].out


def test_a_history_grows_with_each_gate_and_is_shown(cli, report, tmp_path):
    where = tmp_path / "runs.sqlite"
    for _ in range(2):
        assert cli("gate", report, "--budget", "p90<=1s", "--history", where).code == 0
    ran = cli("history", where, "--plot", tmp_path / "course.svg")
    assert ran.code == 0
    assert ran.out.count("pass") == 2
    assert (tmp_path / "course.svg").read_text().startswith("<?xml")
    assert "no size of another" in cli("history", where, "--quantity", "size", "--model", "another").err
    assert "holds no accuracy[mae]." in cli("history", where, "--quantity", "accuracy[mae]").err
    assert "Unknown quantity 'p42'; choose from accuracy," in cli("history", where, "--quantity", "p42").err
    undrawn = cli("history", where, "--plot", tmp_path / "course.txt")
    assert (undrawn.code, undrawn.out) == (2, "")
    assert "cannot be drawn" in undrawn.err


def test_a_history_that_fails_at_last_takes_no_result_along(cli, report, tmp_path, monkeypatch):
    def locked(*_: object, **__: object) -> None:
        raise UsageError("The history cannot be used: database is locked.")

    monkeypatch.setattr(history, "record", locked)
    asked = ("gate", report, "--budget", "p90<=1s", "--history", tmp_path / "runs.sqlite")
    ran = cli(*asked, "--output", f"json={tmp_path / 'a.json'}")
    assert ran.code == 2
    assert "database is locked" in ran.err
    assert ran.out.startswith("digits for bench: pass\n")
    assert profile_results.from_json((tmp_path / "a.json").read_text(), "a.json").outcome == "pass"


def test_a_history_of_what_may_be_zero_says_that_no_change_can_be_told(cli, report, tmp_path):
    where = tmp_path / "runs.sqlite"
    (found,) = profile_results.from_json(report.read_text(), "report").profiles
    as_good = dataclasses.replace(found.selected.report.accuracy, is_source=True)
    entry = dataclasses.replace(found.selected, report=dataclasses.replace(found.selected.report, accuracy=as_good))
    history.record(str(where), profile_results.of([dataclasses.replace(found, candidates=(entry,))]))
    shown = cli("history", where, "--quantity", "accuracy_drop")
    assert shown.code == 0
    assert "No change can be told: changes are relative" in " ".join(shown.out.split())


def test_one_run_writes_several_formats(cli, report, tmp_path):
    asked = ("gate", report, "--budget", "p90<=1s", "--output")
    ran = cli(*asked, f"junit={tmp_path / 'a.xml'}", "--output", f"json={tmp_path / 'a.json'}")
    assert ran.code == 0
    assert len(list(ET.parse(tmp_path / "a.xml").iter("testcase"))) == 1
    assert profile_results.from_json((tmp_path / "a.json").read_text(), "a.json").outcome == "pass"
    for wrong in ("junit", "pdf=a.pdf", "junit="):
        refused = cli(*asked, wrong)
        assert refused.code == 2
        assert "FORMAT=FILE" in refused.err


def test_a_soak_says_what_it_found_beside_the_report(cli, built_bundle):
    ran = cli("measure", built_bundle, "--soak", "0.02", "--format", "json")
    assert ran.code in (0, 1)  # a busy machine may well slow down within a second
    assert "Soak: " in ran.err
    assert "inferences in" in ran.err
    (found,) = profile_results.from_json(ran.out, "stdout").profiles
    assert len(found.candidates[0].report.latency.blocks) == 1
    assert found.candidates[0].report.peaks is None  # an hour's soak waits for nothing else


def test_a_soak_of_a_device_that_is_not_here_is_inconclusive(cli, contents, elsewhere, tmp_path):
    pack(dataclasses.replace(contents, profile=elsewhere, report=None), tmp_path / "there.edge")
    ran = cli("measure", tmp_path / "there.edge", "--soak", "0.02")
    assert ran.code == 3
    assert "Soak" not in ran.err


def test_another_interpreter_runs_the_same_bundle_as_the_baseline(cli, built_bundle):
    asked = ("gate", built_bundle, "--baseline-python", sys.executable, "--format", "json", *QUICK)
    ran = cli(*asked, "--budget", "p50<=+400%", "--inconclusive", "pass")  # on a busy machine
    (found,) = json.loads(ran.out)["profiles"]
    assert ran.code == 0
    assert [entry["name"].rpartition(" ")[2] for entry in found["candidates"]] == ["(candidate)", "(baseline)"]
    assert "differ by 0.0e+00 of the baseline's norm" in " ".join(found["caveats"])


class Computing:
    """A target whose outputs are known."""

    def __init__(self, **outputs):
        self.outputs = outputs

    def run(self, bundle, inputs, outputs):
        np.savez(outputs, **self.outputs)


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (np.ones((2, 2)), "differ by 0.0e+00 of the baseline's norm on the golden samples, within the tolerance of "),
        (np.full((2, 2), 2.0), "differ beyond the tolerance on the golden samples: by 5.0e-01 of the baseline's norm"),
        (np.full((2, 2), np.nan), "differ beyond the tolerance on the golden samples: by NaN"),
        (np.ones((2, 3)), "differ beyond the tolerance on the golden samples: by NaN, an infinity or their shapes"),
    ],
)
def test_the_worst_output_of_two_sides_is_told(built_bundle, theirs, said):
    ours, same = np.ones((2, 2)), np.ones(3)
    here, there = Computing(first=same, second=ours), Computing(first=same, second=theirs)
    (sentence,) = _gate_reports.compared_outputs(built_bundle, built_bundle, here, there)
    assert said in sentence


def test_versions_that_differ_between_the_sides_are_named(report):
    stored = profile_results.from_json(report.read_text(), "report").profiles[0].selected.report
    block = dataclasses.replace(stored.latency.blocks[0], environment={"onnxruntime": "1.23.2", "numpy": "2.0"})
    old = dataclasses.replace(stored, latency=dataclasses.replace(stored.latency, blocks=(block,)))
    block = dataclasses.replace(block, environment={"onnxruntime": "1.32.0", "numpy": "2.0"})
    new = dataclasses.replace(stored, latency=dataclasses.replace(stored.latency, blocks=(block,)))
    said = _gate_reports.environments(Gated(new, old, ()))
    assert said == ("The candidate ran with onnxruntime 1.32.0 instead of 1.23.2.",)
    assert _gate_reports.environments(Gated(new, new, ())) == ()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--baseline-python", "nowhere/bin/python", "--budget", "p50<=+5%"), "is no program"),
        (("--self-test", "--budget", "p50<=1ms"), "give a change of a percentile"),
        (("--self-test", "--budget", "p50<=+5%", "--budget", "p90<=+5%"), "takes one budget"),
        (("--self-test", "--format", "html"), "choose text or json"),
        (("--gates", "30", "--budget", "p50<=1s"), "--gates counts the gates of a self-test"),
        (("--self-test", "--duration", "2s"), "A self-test has no use for --duration; leave it out."),
        (("--self-test", "--shape", "image=2x3x8x8"), "A self-test has no use for --shape; leave it out."),
    ],
)
def test_mistakes_with_the_other_gates_are_told(cli, built_bundle, options, said):
    ran = cli("gate", built_bundle, *options)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_a_report_cannot_be_run_by_another_interpreter_nor_self_tested(cli, report):
    for options in (("--baseline-python", sys.executable, "--budget", "p50<=+5%"), ("--self-test",)):
        ran = cli("gate", report, *options)
        assert (ran.code, ran.out) == (2, "")


def test_a_self_test_is_printed_kept_and_mentioned_by_later_verdicts(cli, built_bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    trials = Trials(gates=20, wrong=0, inconclusive=1, mean_s=2.0, longest_s=4.0)
    kept = SelfTest("2026-12-01", "digits", "p90<=+5%", 20.0, 0.1, trials, trials, 0.031, 300, "p90<=+4%")
    monkeypatch.setattr("hwbench.gate.gate_self_test.self_test", lambda *arguments: kept)
    ran = cli("gate", built_bundle, "--self-test", "--max-time", "20s")
    assert ran.code == 0
    assert f"gate {built_bundle} --baseline RELEASED.edge --budget 'p90<=+4%' --max-time 20s" in ran.out
    assert "0.0% to 16.8%" in ran.out
    later = cli("gate", built_bundle, *QUICK, "--budget", "p90<=1s")
    assert "self-tested 2026-12-01: 0 of 40 gates at p90<=+5% false" in " ".join(later.out.split())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--family-size", "2"), "--family-size counts the gates that share --family-error"),
        (("--family-error", "0.05", "--confidence", "0.9"), "leave out --confidence"),
        (("--family-error", "0.7"), "0<x<=0.5"),
    ],
)
def test_options_of_the_family_that_contradict_each_other(cli, built_bundle, options, words):
    ran = cli("gate", built_bundle, "--budget", "p90<=1s", *options)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err


def test_the_error_of_all_budgets_is_split_and_said(cli, built_bundle):
    asked = ("--budget", "p50<=10s", "--budget", "accuracy>=0.1", "--family-error", "0.02", "--family-size", "2")
    ran = cli("gate", built_bundle, *asked, "--format", "json", *QUICK)
    (found,) = json.loads(ran.out)["profiles"]
    assert ran.code == 0, ran.err
    assert found["confidence"] == 0.98
    assert "at most 0.02 over 2 budgets in each of 2 gates, 0.005 for each" in " ".join(found["caveats"])


def test_a_failed_comparison_is_explained_by_its_layers(cli, built_bundle, tmp_path, monkeypatch):
    """The profiles are those of `test_layer_attribution.py`; here they would take seconds."""
    changes = LayerChanges(missing="nothing was profiled")
    monkeypatch.setattr("hwbench.gate.layer_attribution.changes", lambda *given: changes)
    limit = ("--baseline", built_bundle, "--budget", "p90<=0.01us")
    ran = cli("gate", built_bundle, *limit, *QUICK, "--output", f"json={tmp_path / 'gate.json'}")
    assert ran.code == 1
    (found,) = profile_results.from_json((tmp_path / "gate.json").read_text(), "gate").profiles
    assert found.layer_changes == changes
    assert "nothing was profiled" in ran.out.partition("\nLayers\n")[2]
