"""Metrics of classes against scikit-learn, and the ways in which classes and labels may be given."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as reference

from hwbench import metrics
from runtimes.errors import UsageError
from runtimes.sample_arrays import RaggedArray

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, 80)
SCORES = RNG.normal(size=(80, 5)).astype(np.float32) + np.eye(5)[LABELS]  # class 4 is predicted and never right
PREDICTED = SCORES.argmax(axis=1)


def _score(name, scores=SCORES, labels=LABELS):
    return metrics.load(name).score({"y": scores}, labels)


def test_macro_averages_are_those_of_scikit_learn():
    for name in ("precision", "recall", "f1"):
        macro = getattr(reference, f"{name}_score")(LABELS, PREDICTED, average="macro", zero_division=0)
        assert _score(name) == pytest.approx(macro)
        assert 0.2 < macro < 0.9


def test_one_class_is_named_behind_an_at_sign():
    for name in ("precision", "recall", "f1"):
        each = getattr(reference, f"{name}_score")(LABELS, PREDICTED, average=None, zero_division=0)
        assert [_score(f"{name}@{number}") for number in range(5)] == pytest.approx(each)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_balanced_accuracy_is_that_of_scikit_learn():
    assert _score("balanced-accuracy") == pytest.approx(reference.balanced_accuracy_score(LABELS, PREDICTED))


def test_nan_among_a_samples_scores_is_a_wrong_class():
    scores = np.eye(2)[[0, 1, 1, 0]]
    scores[3, 1] = np.nan  # argmax would call it class 1
    assert _score("recall@0", scores, np.array([0, 1, 1, 0])) == 0.5
    assert _score("balanced-accuracy", scores, np.array([0, 1, 1, 0])) == 0.75


@pytest.mark.parametrize(
    "scores",
    [
        pytest.param([0.9, 0.2, 0.6, 0.4], id="probabilities"),
        pytest.param([2.0, -3.0, 0.1, -0.1], id="logits"),
        pytest.param([[1], [0], [1], [0]], id="classes"),
        pytest.param([[True], [False], [True], [False]], id="booleans"),
    ],
)
def test_one_score_per_sample_tells_class_1_from_class_0(scores):
    labels = np.array([1, 0, 0, 0])
    assert _score("top1", np.array(scores), labels).tolist() == [True, True, False, True]
    assert _score("precision@1", np.array(scores), labels) == 0.5


@pytest.mark.parametrize(
    ("scores", "labels", "words"),
    [
        (np.eye(3), np.eye(3, dtype=np.int64), r"labels have shape \[3, 3\]; give one class number per sample"),
        (np.eye(3), np.array([0.0, 1, 2]), "labels are float64"),
        (np.eye(3), np.array([0, 1, 3]), "labels go from 0 to 3, and the model has 3 classes"),
        (np.eye(3), np.array([0, 1, -1]), "a label is -1"),
        (np.zeros((3, 2, 4)), np.zeros(3, int), r"output 'y' of shape \[3, 2, 4\] has several axes"),
    ],
)
@pytest.mark.parametrize("name", ["balanced-accuracy", "f1"])
def test_what_is_no_classification_is_told(name, scores, labels, words):
    with pytest.raises(ValueError, match=words):
        _score(name, scores, labels)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("top1@2", "The metric 'top1' is not of one class; leave out '@2'"),
        ("f1@cat", "names no class; give its number, as in f1@3"),
        ("f1@", "names no class"),
        ("f3@1", "Unknown metric 'f3'"),
    ],
)
def test_a_class_that_cannot_be_scored_is_told(name, words):
    with pytest.raises(UsageError, match=words):
        metrics.load(name)


@pytest.mark.parametrize("labels", [np.array([0, 1, 2]), np.array([[0, 1], [1, 0], [0, 1]]), np.array([0, 1, -1])])
def test_auc_takes_labels_of_0_and_1(labels):
    with pytest.raises(ValueError, match="are not 0 or 1, one per sample"):
        _score("auc", np.eye(3), labels)


def test_auc_of_nan_is_told():
    with pytest.raises(ValueError, match=r"output 'y' of shape \[2\] holds NaN"):
        _score("auc", np.array([np.nan, 1]), np.array([0, 1]))


@pytest.mark.parametrize("name", ["top1", "top5"])
@pytest.mark.parametrize("ragged", [False, True])
def test_where_decisions_agree_scores_agree_whatever_the_label(name, ragged):
    metric, own = metrics.load(name), RNG.normal(size=(200, 7)).astype(np.float32)
    other = own + RNG.normal(0, 0.2, own.shape).astype(np.float32)
    other[::50, 2] = np.nan
    outputs = [{"y": RaggedArray(scores, np.full((200, 1), 7)) if ragged else scores} for scores in (own, other)]
    same = (metric.decisions(outputs[0]) == metric.decisions(outputs[1])).reshape(200, -1).all(axis=1)
    assert 20 < same.sum() < 196
    scores = [[metric.score(each, np.full(200, label)) for label in range(7)] for each in outputs]
    differs = (np.array(scores[0]) != np.array(scores[1])).any(axis=0)
    assert differs[~same].all() and not differs[same].any()


def test_decisions_of_single_scores_are_those_of_their_threshold():
    decide = metrics.load("top1").decisions
    assert decide({"y": np.array([[0.2], [0.7]])}).tolist() == [0, 1]
    assert decide({"y": np.array([-0.2, 0.3])}).tolist() == [0, 1]
    assert not metrics.scores_decisions("mae") and metrics.scores_decisions("top1:policy")
