"""Builds with a hundred labelled samples, and with many more that nobody labelled."""

from __future__ import annotations

import numpy as np
import pytest

from hwbench.budgets.budget import parse_all
from hwbench.measurements import interleaved
from hwbench.results import profile_results
from runtimes.errors import UsageError
from toolchain.pipeline.build import build

pytestmark = pytest.mark.usefixtures("one_process")

LABELLED, UNLABELLED = 100, 2_000


@pytest.fixture(scope="module")
def samples(digits, tmp_path_factory):
    """A hundred digits with labels, and two thousand without: the other held-out ones, each four times with noise."""
    folder = tmp_path_factory.mktemp("unlabelled")
    with np.load(digits.evaluation) as archive:
        images, labels = archive["image"], archive["labels"]
    np.savez(folder / "labelled.npz", image=images[:LABELLED], labels=labels[:LABELLED])
    others = np.tile(images[LABELLED:], (UNLABELLED // len(images[LABELLED:]), 1, 1, 1))
    noise = np.random.default_rng(0).normal(0, 0.03, others.shape)
    np.savez(folder / "unlabelled.npz", image=(others + noise).astype(np.float32))
    return folder


@pytest.fixture
def few(digits_request, samples):
    """A request that has too few labelled samples to show that any candidate loses no more than two points."""

    def make(**changes):
        evaluation = samples / "labelled.npz"
        budgets = parse_all(["accuracy_drop<=0.02"])
        return digits_request(
            **{"evaluation": evaluation, "precisions": ("fp32", "int8"), "budgets": budgets, **changes}
        )

    return make


def test_samples_without_labels_show_that_int8_changes_few_decisions(few, samples):
    (found,) = build(few(unlabelled=samples / "unlabelled.npz")).profiles
    assert (found.selected.precision, found.outcome) == ("int8", "pass")
    (verdict,) = found.selected.verdicts
    flips = found.selected.report.accuracy.flips
    assert flips.n == UNLABELLED
    assert flips.changed < 30  # fewer than two in a hundred
    assert verdict.probability >= found.confidence == 0.95
    assert f"with probability {'above ' if verdict.probability > 0.9999 else '0.9'}" in verdict.reason
    assert found.unsettled is None
    text = profile_results.to_json(profile_results.of([found]))
    assert profile_results.from_json(text, "it").profiles == (found,)


def test_without_them_the_source_ships_and_the_report_says_what_would_settle_it(few):
    (found,) = build(few()).profiles
    assert found.selected.precision == "fp32"
    open_question = found.unsettled
    assert open_question.candidate == "int8 (onnxruntime)"
    assert 0.5 < open_question.probability < 0.95 == open_question.asked
    assert open_question.needed.labelled > 0 < open_question.needed.unlabelled
    assert f"--confidence {open_question.settled_at:g} selects it now" in open_question.sentence
    (settled,) = build(few(confidence=open_question.settled_at)).profiles
    assert settled.selected.precision == "int8"


def test_they_are_not_run_where_they_cannot_change_a_verdict(few, samples, digits, monkeypatch):
    ran = []
    compute = interleaved.outputs

    def outputs(bundle, inputs, target):
        ran.append(inputs.name)
        return compute(bundle, inputs, target)

    monkeypatch.setattr(interleaved, "outputs", outputs)
    (found,) = build(few(evaluation=digits.evaluation, unlabelled=samples / "unlabelled.npz", confidence=0.6)).profiles
    assert "unlabelled.npz" not in ran
    scored = [one.report.accuracy for one in found.candidates if one.report and not one.report.accuracy.is_source]
    assert [one.flips.changed for one in scored] == [None] * len(scored)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"evaluation": None}, "--unlabelled adds to samples with labels, and there are none"),
        (
            {"metrics": ("balanced-accuracy",)},
            "which top1 and top5 score, and balanced-accuracy does not; leave it out",
        ),
    ],
)
def test_samples_that_no_metric_has_a_use_for_are_refused(few, samples, changes, told):
    with pytest.raises(UsageError, match=told):
        build(few(unlabelled=samples / "unlabelled.npz", **changes))
