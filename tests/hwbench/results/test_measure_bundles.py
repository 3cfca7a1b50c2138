"""Measuring bundles that exist: what is reused, what is scored anew, what cannot be measured here."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from hwbench.data.dataset import Dataset
from hwbench.formats import html, markdown, text
from hwbench.machine.identity import this_machine
from hwbench.measurements.accuracy import Accuracy, evaluate, joined
from hwbench.measurements.latency import Latency
from hwbench.metrics import load
from hwbench.results import measure_bundles as bundles
from hwbench.results import profile_results
from hwbench.results.measure_bundles import Evaluation, measure_bundles
from hwbench.results.opened_bundle import open_bundle
from hwbench.results.profile_results import CandidateResult, ProfileResult
from hwbench.stats.paired_proportions import Flips
from hwbench.targets.local import LocalTarget
from runtimes.bundles.bundle import Bundle
from runtimes.errors import BackendError, BundleError, UsageError
from runtimes.sampling.closed_loop import SamplingPlan

PLAN = SamplingPlan(min_runs=20, duration_s=0.05)
WEIGHTS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], np.float32)


def take(paths, target, evaluation=None, blocks=2):
    return measure_bundles(paths, target, PLAN, lambda word: None, evaluation, blocks)


def digest(file):
    """Of labelled samples for the linear model, as `build` keeps it."""
    with np.load(file) as arrays:
        return Dataset(file, (), {"x": arrays["x"]}, len(arrays["x"]), arrays["labels"]).sha256()


@pytest.fixture
def report_text(make_report):
    """report.json as `build` packs it, of a report with the accuracy given."""

    def make(accuracy):
        entry = CandidateResult("fp32", "fp32", "onnxruntime", "selected", "", make_report(accuracy=accuracy))
        return profile_results.to_json(profile_results.of([ProfileResult("linear", "here", (), (entry,))]))

    return make


@pytest.fixture
def labelled(tmp_path):
    """Six samples; the linear model's answer is right on four."""
    x = np.eye(4, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]
    np.savez(tmp_path / "labelled.npz", x=x, labels=np.array([0, 1, 2, 0, 0, 0]))
    return tmp_path / "labelled.npz"


@pytest.fixture
def elsewhere(local_profile):
    other = "aarch64" if local_profile.arch == "x86_64" else "x86_64"
    return dataclasses.replace(local_profile, name="other", title="Other Board", arch=other)


def top1(*scores, reference=None):
    return Accuracy("top1", True, len(scores), float(np.mean(scores)), scores=scores, reference=reference)


def test_a_real_bundle_is_measured_here(pack_linear, tmp_path):
    (report,) = take([pack_linear(tmp_path / "linear.edge")], LocalTarget())
    assert (report.model, report.profile, report.artifact.runtime) == ("linear", "here", "onnxruntime")
    assert report.machine == this_machine()
    assert report.latency is not None
    assert len(report.latency.blocks) == 2
    assert report.estimate("p50").value > 0
    assert report.accuracy is None
    assert report.unmeasured == {}


def test_bundles_are_interleaved_on_their_own_golden_samples(pack_linear, fake_target, tmp_path):
    seen = []
    sample = fake_target.sample

    def recording(bundle, inputs, plan):
        with np.load(inputs) as archive:
            seen.append((bundle.stem, archive["x"].shape))
        return sample(bundle, inputs, plan)

    fake_target.sample = recording
    paths = [pack_linear(tmp_path / "a.edge", golden=2), pack_linear(tmp_path / "b.edge", golden=5)]
    take(paths, fake_target)
    assert seen == [("a", (2, 4)), ("b", (5, 4))] * 2


def test_one_bundle_given_twice_is_measured_twice(pack_linear, fake_target, tmp_path):
    path = pack_linear(tmp_path / "a.edge")
    ticks: list[str] = []
    first, second = measure_bundles([path, path], fake_target, PLAN, ticks.append, blocks=2)
    assert ticks == [f"measured {path}", f"measured {path} (2)"] * 2
    assert first == second
    assert isinstance(first.latency, Latency)
    assert [call[1] for call in fake_target.calls] == [path] * 4


def test_the_packed_accuracy_is_reused(pack_linear, report_text, fake_target, tmp_path):
    accuracy = top1(1.0, 0.0, 1.0, reference=top1(1.0, 1.0, 1.0))
    path = pack_linear(tmp_path / "a.edge", report=report_text(accuracy))
    (report,) = take([path], fake_target)
    assert report.accuracy == accuracy
    assert {call[0] for call in fake_target.calls} == {"sample"}
    packed = open_bundle(path).packed
    assert packed is not None and packed.accuracy == accuracy


def test_with_an_evaluation_the_accuracy_is_computed_anew(pack_linear, report_text, labelled, tmp_path):
    path = pack_linear(tmp_path / "a.edge", report=report_text(top1(1.0, 1.0)))
    (report,) = take([path], LocalTarget(), Evaluation(labelled), blocks=1)
    assert report.accuracy is not None
    assert report.accuracy.scores == (1, 1, 1, 1, 0, 0)
    assert report.accuracy.reference is None  # the packed one is of other samples


def test_the_packed_reference_stays_where_metric_and_samples_are_as_before(
    pack_linear, report_text, labelled, fake_target, tmp_path
):
    reference = top1(1.0, 1.0, 1.0, 1.0, 1.0, 0.0)
    scored = top1(1.0, 1.0, 1.0, 1.0, 0.0, 0.0, reference=reference)
    packed = report_text(dataclasses.replace(scored, data_sha256=digest(labelled), flips=Flips(50, 1)))
    path = pack_linear(tmp_path / "a.edge", report=packed)
    (same,) = take([path], fake_target, Evaluation(labelled))
    assert same.accuracy is not None and same.accuracy.reference == reference
    assert same.accuracy.flips == Flips(50, 1)  # of the samples without labels that the build had
    (other,) = take([path], fake_target, Evaluation(labelled, ("top5",)))
    assert other.accuracy is not None and other.accuracy.metric == "top5"
    assert other.accuracy.reference is None


def test_several_metrics_keep_the_references_that_fit(pack_linear, report_text, labelled, fake_target, tmp_path):
    reference = top1(1.0, 1.0, 1.0, 1.0, 1.0, 0.0)
    scored = dataclasses.replace(top1(1.0, 1.0, 1.0, 1.0, 0.0, 0.0, reference=reference), data_sha256=digest(labelled))
    other = dataclasses.replace(scored, metric="top5", reference=None)
    path = pack_linear(tmp_path / "a.edge", report=report_text(joined([other, scored])))
    (report,) = take([path], fake_target, Evaluation(labelled, ("f1@1", "top1")))
    assert report.accuracy is not None
    assert [one.metric for one in report.accuracy.each] == ["f1@1", "top1"]
    assert [one.reference for one in report.accuracy.each] == [None, reference]
    (own,) = take([path], fake_target, Evaluation(labelled))
    assert own.accuracy is not None and [one.metric for one in own.accuracy.each] == ["top5", "top1"]


def test_as_many_samples_with_other_labels_are_not_the_same_samples(
    pack_linear, report_text, labelled, fake_target, tmp_path
):
    scored = top1(1.0, 1.0, 1.0, 1.0, 0.0, 0.0, reference=top1(1.0, 1.0, 1.0, 1.0, 1.0, 0.0))
    packed = report_text(dataclasses.replace(scored, data_sha256=digest(labelled)))
    path = pack_linear(tmp_path / "a.edge", report=packed)
    with np.load(labelled) as arrays:
        np.savez(tmp_path / "others.npz", x=arrays["x"], labels=arrays["labels"][::-1])
    (other,) = take([path], fake_target, Evaluation(tmp_path / "others.npz"))
    assert other.accuracy is not None and other.accuracy.reference is None


def test_a_users_metric_keeps_its_reference(pack_linear, report_text, labelled, fake_target, tmp_path):
    (tmp_path / "mine.py").write_text("def hits(outputs, labels):\n    return outputs['y'].argmax(1) == labels\n")
    metric = load(f"{tmp_path / 'mine.py'}:hits")
    reference = evaluate(metric, {"y": np.eye(3)[[0, 1, 2, 0, 0, 0]]}, np.array([0, 1, 2, 0, 0, 0]))
    packed = dataclasses.replace(reference, reference=reference, data_sha256=digest(labelled))
    path = pack_linear(tmp_path / "a.edge", report=report_text(packed))
    (report,) = take([path], fake_target, Evaluation(labelled, (f"{tmp_path / 'mine.py'}:hits",)))
    assert report.accuracy is not None and report.accuracy.reference == reference
    assert report.estimate("accuracy_drop").value == pytest.approx(2 / 6)


@pytest.mark.parametrize("packed", [None, "top5", "parity"])
def test_the_metric_is_the_packed_ones_else_top1(pack_linear, report_text, labelled, fake_target, tmp_path, packed):
    text = packed and report_text(Accuracy(packed, True, 2, 1.0, scores=(1.0, 1.0)))
    path = pack_linear(tmp_path / "a.edge", report=text)
    (report,) = take([path], fake_target, Evaluation(labelled))
    assert report.accuracy is not None
    assert report.accuracy.metric == ("top5" if packed == "top5" else "top1")


def test_another_machines_bundle_has_no_latency_and_says_why(
    pack_linear, report_text, elsewhere, fake_target, tmp_path
):
    path = pack_linear(tmp_path / "a.edge", profile=elsewhere, report=report_text(top1(1.0, 1.0)))
    (report,) = take([path], fake_target)
    assert fake_target.calls == []
    assert report.latency is None
    assert report.unmeasured == {"latency": "this machine does not fit the profile other (Other Board)"}
    assert report.accuracy == top1(1.0, 1.0)
    assert report.machine == this_machine()


def test_another_machines_bundle_is_scored_here_when_asked(pack_linear, elsewhere, labelled, fake_target, tmp_path):
    path = pack_linear(tmp_path / "a.edge", profile=elsewhere)
    (report,) = take([path], fake_target, Evaluation(labelled))
    assert report.accuracy is not None and report.accuracy.value == pytest.approx(4 / 6)
    assert [call[0] for call in fake_target.calls] == ["run"]


def test_reports_come_in_the_order_of_the_paths(pack_linear, elsewhere, fake_target, tmp_path):
    paths = [pack_linear(tmp_path / "a.edge", profile=elsewhere), pack_linear(tmp_path / "b.edge")]
    assert [report.profile for report in take(paths, fake_target)] == ["other", "here"]


def test_a_bundle_that_cannot_run_is_named(pack_linear, fake_target, tmp_path):
    paths = [pack_linear(tmp_path / "a.edge"), pack_linear(tmp_path / "b.edge")]
    fake_target.failures[paths[1]] = (1, BackendError("no kernel"))
    with pytest.raises(BackendError, match=re.escape(f"'{paths[1]}' could not be measured: no kernel")):
        take(paths, fake_target)


def test_a_bundle_without_golden_samples_cannot_be_timed(pack_linear, fake_target, tmp_path):
    with pytest.raises(UsageError, match="holds no golden samples to run"):
        take([pack_linear(tmp_path / "a.edge", golden=0)], fake_target)


def test_no_report_no_packed_report(pack_linear, tmp_path):
    assert open_bundle(pack_linear(tmp_path / "a.edge")).packed is None
    empty = profile_results.to_json(profile_results.of([]))
    assert open_bundle(pack_linear(tmp_path / "b.edge", report=empty)).packed is None


def test_a_packed_report_of_another_schema_is_refused(pack_linear, fake_target, tmp_path):
    path = pack_linear(tmp_path / "a.edge", report='{"schema_version": 99}')
    with pytest.raises(UsageError, match="follows report schema 99"):
        take([path], fake_target)


def test_a_damaged_bundle_is_refused_before_anything_runs(pack_linear, fake_target, tmp_path):
    good, bad = pack_linear(tmp_path / "a.edge"), pack_linear(tmp_path / "b.edge")
    with Bundle(bad) as bundle:
        model = bundle.read("artifact/b.onnx")
    bad.write_bytes(bad.read_bytes().replace(model, model[:-1] + b"?"))
    with pytest.raises(BundleError, match=r"b\.edge"):
        take([good, bad], fake_target)
    assert fake_target.calls == []


def test_evaluation_data_that_does_not_fit_is_refused(pack_linear, fake_target, tmp_path):
    np.savez(tmp_path / "unlabelled.npz", x=np.ones((2, 4), np.float32))
    with pytest.raises(UsageError, match="no array 'labels'"):
        take([pack_linear(tmp_path / "a.edge")], fake_target, Evaluation(tmp_path / "unlabelled.npz"))
    with pytest.raises(UsageError, match="Unknown metric 'top9'"):
        take([tmp_path / "a.edge"], fake_target, Evaluation(tmp_path / "unlabelled.npz", ("top9",)))


def test_an_accuracy_that_was_not_measured_here_says_so(pack_linear, fake_target, labelled, report_text, tmp_path):
    path = pack_linear(tmp_path / "a.edge", report=report_text(top1(1.0, 0.0)))
    for evaluation in (None, Evaluation(labelled)):
        (report,) = take([path], fake_target, evaluation)
        entry = CandidateResult("fp32", "fp32", "onnxruntime", "measured", "", report)
        results = profile_results.of([ProfileResult("linear", "here", (), (entry,))])
        pages = [text.render(results), markdown.render(results), html.render(results)]
        assert all(("scored by its build" in page) is (evaluation is None) for page in pages)
        assert all(("not measured now, but by its build, on " in page) is (evaluation is None) for page in pages[1:])
        assert (report.scored_on is not None) is (evaluation is None)


def test_a_bundle_that_was_scored_by_the_users_own_metric_asks_for_it(
    pack_linear, fake_target, labelled, report_text, tmp_path
):
    own = dataclasses.replace(top1(1.0, 0.0), metric="distance")
    path = pack_linear(tmp_path / "a.edge", report=report_text(joined([top1(1.0, 1.0), own])))
    with pytest.raises(UsageError, match="a function of your own") as refused:
        take([path], fake_target, Evaluation(labelled))
    assert "--metric top1 --metric FILE.py:distance" in str(refused.value)
    (tmp_path / "m.py").write_text("def distance(outputs, labels):\n    return float(labels.mean())\n")
    (report,) = take([path], fake_target, Evaluation(labelled, (f"{tmp_path / 'm.py'}:distance",)))
    assert (report.accuracy.metric, report.accuracy.value) == ("distance", 0.5)


def test_nothing_is_left_behind(pack_linear, fake_target, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(bundles.tempfile, "tempdir", str(folder))
    take([pack_linear(tmp_path / "a.edge")], fake_target)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_bundle_on_a_gpu_has_the_parts_of_its_time(pack_linear, fake_target, tmp_path, provider):
    path = pack_linear(tmp_path / "gpu.edge", options={"provider": provider})
    (report,) = take([path], fake_target)
    assert report.gpu_times is fake_target.times
    assert [call[0] for call in fake_target.calls] == ["sample", "sample", "gpu_times"]
    results = profile_results.of(
        [ProfileResult("m", "p", (), (CandidateResult("c", "fp32", "r", "measured", "", report),))]
    )
    assert profile_results.from_json(profile_results.to_json(results), "report.json") == results


def test_a_bundle_on_a_processor_has_no_gpu_times(pack_linear, fake_target, tmp_path):
    (report,) = take([pack_linear(tmp_path / "cpu.edge")], fake_target)
    assert report.gpu_times is None
    assert report.unmeasured == {}
    assert "gpu_times" not in [call[0] for call in fake_target.calls]


def test_gpu_times_that_cannot_be_had_leave_the_latency(pack_linear, fake_target, tmp_path):
    fake_target.times = BackendError("cudaMalloc failed: out of memory (2).")
    (report,) = take([pack_linear(tmp_path / "gpu.edge", options={"provider": "cuda"})], fake_target)
    assert report.latency is not None
    assert report.unmeasured == {"gpu_times": "cudaMalloc failed: out of memory (2)."}
