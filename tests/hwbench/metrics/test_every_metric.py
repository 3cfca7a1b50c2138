"""Properties of every built-in metric: its bounds, its best score, and its score by way of `reduce` and `combine`."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwbench import metrics
from hwbench.measurements.accuracy import evaluate
from hwbench.metrics import parity
from runtimes.errors import UsageError
from runtimes.sample_arrays import RaggedArray, stack

CLASSES, N = 4, 6


def _classification(rng, right):
    labels = rng.permutation(np.arange(N) % CLASSES)
    scores = np.eye(CLASSES, dtype=np.float32)[labels] * 9 if right else rng.normal(size=(N, CLASSES))
    return {"y": scores}, labels


def _binary(rng, right):
    labels = rng.permutation(np.arange(N) % 2)
    return {"y": labels[:, None] - 0.5 if right else rng.normal(size=(N, 1))}, labels


def _like_labels(*shape):
    def make(rng, right):
        labels = rng.normal(size=(N, *shape))
        return {"y": labels.copy() if right else rng.normal(size=(N, *shape, 1))}, labels

    return make


def _pixels(rng, right):
    labels = rng.integers(-1, CLASSES, (N, 3, 5))
    labels[:, 0, 0] = 1
    return {"y": np.eye(CLASSES)[labels] if right else rng.normal(size=(N, 3, 5, CLASSES))}, labels


def _tokens(rng, right):
    labels = rng.integers(-1, CLASSES, (N, 5))
    labels[:, 0] = 1
    return {"y": np.eye(CLASSES)[labels] * 1e3 if right else rng.normal(size=(N, 5, CLASSES))}, labels


def _words(rng, right):
    labels = rng.integers(-1, CLASSES, (N, 5))
    labels[:, 0] = 1
    return {"y": labels if right else rng.integers(-1, CLASSES, (N, 7))}, labels


def _boxes(rng, right):
    def some():
        corners = rng.integers(0, 9, (N, 5, 2))
        return np.concatenate([corners, corners + rng.integers(1, 9, (N, 5, 2))], axis=2).astype(np.float32)

    classes = rng.integers(-1, CLASSES, (N, 5))
    classes[:, 0] = 1
    found = some()
    labels = np.concatenate([found if right else some(), classes[..., None]], axis=2)
    guessed = classes if right else rng.integers(-1, CLASSES, (N, 5))
    # `right` boxes may be equal, but they have the same class only if the label has two such boxes, too.
    scores = np.where(guessed < 0, 0, rng.uniform(0.1, 1, (N, 5)))
    return {"boxes": found, "scores": scores, "classes": guessed}, labels


def _reference(rng, right):
    wanted = {"y": rng.normal(size=(N, 3))}
    return (wanted if right else {"y": rng.normal(size=(N, 3))}), parity.as_labels(wanted)


CASES = {
    **dict.fromkeys(("top1", "top5", "balanced-accuracy", "precision", "recall", "f1"), _classification),
    **dict.fromkeys(("mse", "mae", "r2", "si-sdr"), _like_labels(7)),
    **dict.fromkeys(("psnr", "ssim"), _like_labels(12, 11)),
    "auc": _binary,
    "iou": _pixels,
    "perplexity": _tokens,
    "token-accuracy": _tokens,
    "wer": _words,
    "map": _boxes,
    "parity": _reference,
}


def test_every_metric_is_here():
    assert set(CASES) == set(metrics.names())


def test_the_page_of_metrics_lists_every_one():
    page = (Path(__file__).parents[3] / "docs/metrics.md").read_text()
    listed = [
        name for row in re.findall(r"^\| (`[^|]*) \|", page, re.MULTILINE) for name in re.findall(r"`([^`]*)`", row)
    ]
    assert sorted(listed) == sorted(metrics.names())


def _scored(name, seed, right):
    outputs, labels = CASES[name](np.random.default_rng(seed), right)
    return metrics.load(name), outputs, labels


@pytest.mark.parametrize("name", sorted(CASES))
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_scores_are_within_the_bounds_and_the_right_outputs_score_best(name, seed):
    metric, outputs, labels = _scored(name, seed, right=False)
    low, high = metric.bounds
    scores = np.asarray(metric.score(outputs, labels), float)
    assert low <= scores.min() <= scores.max() <= high
    metric, outputs, labels = _scored(name, seed, right=True)
    best = high if metric.higher_is_better else low
    assert np.asarray(metric.score(outputs, labels), float) == pytest.approx(best)


@pytest.mark.parametrize("name", sorted(CASES))
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.lists(st.integers(0, N - 1), min_size=2, max_size=9))
def test_a_resample_of_what_was_reduced_scores_as_a_resample_of_all(name, seed, rows):
    metric, outputs, labels = _scored(name, seed, right=False)
    quick, reduced = metric.reduced(outputs, labels)
    index = np.array(rows)
    some = {key: array[index] for key, array in outputs.items()}
    try:
        wanted = metric.score(some, labels[index])
    except ValueError:  # undefined on this resample
        assume(False)
    if name in ("psnr", "ssim"):  # their range is that of all labels
        return
    found = quick.score({key: array[index] for key, array in reduced.items()}, labels[index])
    assert np.asarray(found, float) == pytest.approx(np.asarray(wanted, float))


@pytest.mark.parametrize("name", sorted(set(CASES) - {"parity"}))
def test_a_metric_is_estimated_with_an_interval(name):
    metric, outputs, labels = _scored(name, 0, right=False)
    estimate = evaluate(metric, outputs, labels).estimate()
    assert estimate.low <= estimate.value <= estimate.high


@pytest.mark.parametrize("name", sorted(set(CASES) - {"parity", "top1", "top5", "wer", "map"}))
def test_an_output_of_another_shape_is_named_with_its_shape(name):
    metric, outputs, labels = _scored(name, 0, right=False)
    broken = {"boxes": np.zeros((N, 2, 2, 3)), "scores": outputs["y"]}
    with pytest.raises(UsageError) as caught:
        evaluate(metric, broken, labels if name != "auc" else labels + 1)
    words = str(caught.value)
    assert words.startswith(f"Metric '{name}' cannot be computed: ")
    assert "shape" in words or "labels" in words
    if name != "auc":
        assert "output 'boxes' (the first of boxes, scores; another one is METRIC:OUTPUT)" in words


MIXED = ("mae", "mse", "si-sdr", "perplexity", "token-accuracy", "wer", "parity")


@pytest.mark.parametrize("name", MIXED)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(1, N - 1))
def test_samples_of_mixed_sizes_score_as_each_does_alone(name, seed, cut):
    """The samples from `cut` on lose their last step."""
    metric, outputs, labels = _scored(name, seed, right=False)
    if name == "parity":
        labels = {"y": np.random.default_rng(seed).normal(size=(N, 3))}

    def mixed(array):
        return stack([sample if row < cut else sample[:-1] for row, sample in enumerate(array)])

    outputs = {key: mixed(array) for key, array in outputs.items()}
    labels = parity.as_labels({"y": mixed(labels["y"])}) if name == "parity" else mixed(labels)
    assert isinstance(labels, RaggedArray)
    assert isinstance(next(iter(outputs.values())), RaggedArray)
    found = evaluate(metric, outputs, labels)
    halves = [range(cut), range(cut, N)]
    if found.scores is None:
        quick, reduced = metric.reduced(outputs, labels)
        assert quick.score(reduced, labels) == pytest.approx(found.value)
        assert {len(rows) for rows in reduced.values()} == {N}
    else:
        alone = [
            metric.score(
                {k: np.stack([a[i] for i in rows]) for k, a in outputs.items()}, np.stack([labels[i] for i in rows])
            )
            for rows in halves
        ]
        assert found.scores == pytest.approx(np.concatenate(alone))


@pytest.mark.parametrize("name", ["auc", "f1", "r2", "balanced-accuracy"])
def test_a_metric_of_one_size_says_so(name):
    metric, outputs, labels = _scored(name, 0, right=False)
    mixed = {"y": stack([sample if row else sample[:-1] for row, sample in enumerate(outputs["y"])])}
    with pytest.raises(UsageError, match="has samples of mixed sizes, and the metric takes one size"):
        evaluate(metric, mixed, labels)


def test_parity_is_of_all_outputs():
    with pytest.raises(UsageError, match="The metric parity compares all outputs; leave out ':y'"):
        metrics.load("parity:y")


_SMALL_AND_LARGE = [np.ones((2, 2), int), np.ones((2, 3), int)]


@pytest.mark.parametrize(
    ("name", "scores", "labels"),
    [
        pytest.param("iou", [np.full((2, 2), 0.2), np.full((2, 3), 7.0)], _SMALL_AND_LARGE, id="iou"),
        pytest.param("iou", [np.full((2, 2), 0.2), np.full((2, 3), np.inf)], _SMALL_AND_LARGE, id="infinity"),
        pytest.param("top1", [np.array([0.2]), np.array([7.0])], [np.array([1]), np.array([1, -1])], id="top1"),
    ],
)
def test_whether_single_scores_are_logits_is_told_by_all_samples_of_mixed_sizes(name, scores, labels):
    """The first sample's scores alone would be probabilities, and its prediction class 0."""
    assert metrics.load(name).score({"y": stack(scores)}, stack(labels)).tolist() == [1, 1]
