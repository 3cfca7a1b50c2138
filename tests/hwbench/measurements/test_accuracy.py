"""Scoring against labels, pairing with the source model, and metrics that go wrong."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from hwbench import metrics
from hwbench.measurements.accuracy import Accuracy, evaluate
from hwbench.metrics import Metric
from hwbench.stats import intervals, resampling
from hwbench.stats.inference import Proportion
from hwbench.stats.paired_proportions import PairedProportions
from runtimes.errors import UsageError

LABELS = np.arange(40) % 2


def right(outputs, labels):
    return outputs["y"] == labels


def error(outputs, labels):
    return np.abs(outputs["y"] - labels)


def share(outputs, labels):
    """As `right`, in one number."""
    return float(np.mean(outputs["y"] == labels))


def outputs(wrong: int, start: int = 0) -> dict[str, np.ndarray]:
    """Outputs that are the labels, but for `wrong` of them."""
    y = LABELS.copy()
    y[start : start + wrong] = 1 - y[start : start + wrong]
    return {"y": y}


def test_a_per_sample_metric_is_the_mean_of_its_scores():
    found = evaluate(Metric("right", right), outputs(10), LABELS)
    assert (found.metric, found.n, found.value, found.replicates) == ("right", 40, 0.75, None)
    assert found.scores == (0.0,) * 10 + (1.0,) * 30
    assert found.estimate() == Proportion(30, 40).estimate()


def test_a_scalar_metric_is_resampled():
    found = evaluate(Metric("share", share), outputs(10), LABELS)
    assert (found.value, found.scores) == (0.75, None)
    assert found.replicates is not None
    estimate = found.estimate()
    assert estimate.low < 0.75 < estimate.high
    # As wide as the exact interval for a proportion, roughly.
    wilson = Proportion(30, 40).estimate()
    assert estimate.high - estimate.low == pytest.approx(wilson.high - wilson.low, rel=0.2)


def test_a_scalar_metrics_replicates_are_of_samples_with_their_labels():
    labels = np.array([5, 7, 9])
    seen = []

    def paired(outputs, labels):
        seen.append((outputs["a"] == labels).all() and (outputs["b"][:, 0] == labels).all())
        return float(labels.mean())

    found = evaluate(Metric("paired", paired), {"a": labels, "b": np.stack([labels, labels], 1)}, labels)
    assert all(seen)
    assert set(np.round(np.array(found.replicates) * 3)) <= set(range(15, 28, 2))
    assert len(set(found.replicates or ())) > 3


def test_the_source_itself_has_no_drop_to_estimate():
    found = dataclasses.replace(evaluate(Metric("right", right), outputs(1), LABELS), is_source=True)
    assert found.drop() == intervals.Estimate(0.0, 0.0, 0.0)


def test_no_reference_no_drop():
    assert evaluate(Metric("right", right), outputs(1), LABELS).drop() is None


@pytest.mark.parametrize(
    ("metric", "sign"),
    [
        pytest.param(Metric("right", right), 1, id="per-sample"),
        pytest.param(Metric("error", error, higher_is_better=False), 1, id="per-sample-lower-is-better"),
        pytest.param(Metric("share", share), 1, id="scalar"),
        pytest.param(Metric("share-wrong", lambda o, y: 1 - share(o, y), higher_is_better=False), 1, id="scalar-lower"),
    ],
)
def test_a_drop_is_how_much_worse_whatever_is_better(metric, sign):
    reference = evaluate(metric, outputs(4), LABELS)
    worse = evaluate(metric, outputs(10), LABELS, reference).drop()
    better = evaluate(metric, outputs(0), LABELS, reference).drop()
    assert worse is not None and better is not None
    assert (worse.value, better.value) == pytest.approx((0.15, -0.1))
    assert worse.low <= worse.value <= worse.high
    assert worse.high > 0 > better.low


@pytest.mark.parametrize("score", [right, share], ids=["per-sample", "scalar"])
def test_a_drop_is_paired_by_sample(score):
    metric = Metric("m", score)
    reference = evaluate(metric, outputs(10), LABELS)
    same = evaluate(metric, outputs(10), LABELS, reference).drop()
    other = evaluate(metric, outputs(10, start=20), LABELS, reference).drop()
    assert same is not None and other is not None
    assert same.value == other.value == 0
    assert same.high - same.low < 0.7 * (other.high - other.low)


def test_a_mean_is_bootstrapped_once_however_often_it_is_asked_for():
    reference = evaluate(Metric("error", error), outputs(4), LABELS)
    scores = dataclasses.replace(reference, scores=tuple(np.linspace(0, 1, 40).tolist()), proportion=False)
    assert dataclasses.replace(scores).inference() is scores.inference()


def test_a_drop_of_scores_is_the_paired_interval():
    reference = evaluate(Metric("right", right), outputs(4), LABELS)
    found = evaluate(Metric("right", right), outputs(10), LABELS, reference)
    assert found.drop() == PairedProportions(6, 0, 40).estimate()


@pytest.mark.parametrize(
    ("score", "told"),
    [
        pytest.param(lambda o, y: 1 / 0, "failed: ZeroDivisionError: division by zero", id="raises"),
        pytest.param(lambda o: 1.0, "failed: TypeError", id="takes-other-arguments"),
        pytest.param(lambda o, y: o["logits"], "failed: KeyError: 'logits'", id="another-output"),
        pytest.param(
            lambda o, y: np.zeros(39), "shape [39] for 40 samples; return one number, or one score", id="short"
        ),
        pytest.param(lambda o, y: np.zeros((40, 1)), "shape [40, 1] for 40 samples", id="rank"),
        pytest.param(lambda o, y: [], "shape [0]", id="empty"),
        pytest.param(lambda o, y: None, "returned None; return one number", id="nothing"),
        pytest.param(lambda o, y: "good", "returned 'good'", id="text"),
        pytest.param(lambda o, y: {"top1": 0.5}, "returned {'top1': 0.5}", id="dict"),
        pytest.param(lambda o, y: [[1], [1, 2]], "returned [[1], [1, 2]]", id="ragged"),
        pytest.param(lambda o, y: float("nan"), "returned nan; return a finite number", id="nan"),
        pytest.param(lambda o, y: np.where(y == 1, np.inf, 0), "returned inf for sample 1;", id="infinite-sample"),
    ],
)
def test_a_metric_that_goes_wrong_is_named(score, told):
    with pytest.raises(UsageError) as caught:
        evaluate(Metric("mine", score), outputs(0), LABELS)
    assert str(caught.value).startswith("Metric 'mine' ")
    assert told in str(caught.value)


def test_resamples_on_which_a_metric_is_undefined_are_drawn_anew_and_leave_the_others_paired():
    labels = np.array([1, 1] + [0] * 18)  # one resample in eight has no positive

    def auc(outputs, labels):
        return metrics.load("auc").score(outputs, labels)

    scores = np.random.default_rng(0).random((20, 1)) + labels[:, None] / 2
    reference = evaluate(Metric("auc", auc), {"y": scores}, labels)
    assert np.isfinite(reference.replicates or ()).all()
    drop = evaluate(Metric("auc", auc), {"y": scores}, labels, reference).drop()
    assert drop == intervals.Estimate(0.0, 0.0, 0.0)


def test_a_metric_undefined_on_nearly_every_resample_is_refused():
    calls = []

    def once(outputs, labels):
        calls.append(1)
        return 1.0 if len(calls) == 1 else float("nan")

    with pytest.raises(UsageError, match=re.escape("too few samples to resample: Metric 'once' returned nan")):
        evaluate(Metric("once", once), outputs(0), LABELS)


def test_one_sample_has_no_interval_for_a_resampled_metric():
    reference = evaluate(Metric("share", share), {"y": np.ones(1)}, np.ones(1))
    found = evaluate(Metric("share", share), {"y": np.ones(1)}, np.ones(1), reference)
    for estimate in (found.estimate, found.drop):
        with pytest.raises(ValueError, match="at least 2 samples"):
            estimate()
    assert evaluate(Metric("share", share), {"y": np.ones(2)}, np.ones(2)).estimate().value == 1


def test_a_slow_metric_is_called_once_per_group_and_pairs_with_its_source(monkeypatch):
    calls = []

    def slow(outputs, labels):
        calls.append(len(labels))
        return share(outputs, labels)

    monkeypatch.setattr(resampling, "plan", lambda call_s, n: ("jackknife", 10))
    reference = evaluate(Metric("share", slow), outputs(4), LABELS)
    monkeypatch.setattr(resampling, "plan", lambda call_s, n: ("bootstrap", 500))  # as where it ran faster by chance
    found = evaluate(Metric("share", slow), outputs(10), LABELS, reference)
    assert calls == [40, *[36] * 10] * 2
    assert (found.resampling, len(found.replicates)) == ("jackknife", 10)
    drop = found.drop()
    assert drop.value == pytest.approx(0.15)
    assert -0.03 < drop.low < 0.15 < drop.high < 0.33  # Student's interval with nine degrees of freedom


def test_equal_outputs_give_equal_replicates():
    first, second = (evaluate(Metric("share", share), outputs(7), LABELS) for _ in range(2))
    assert first == second
    assert isinstance(first, Accuracy)
