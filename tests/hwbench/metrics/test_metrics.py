"""The metrics against slow words-for-words versions, and metrics from a user's file."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hwbench import metrics
from hwbench.metrics import Metric, parity
from runtimes import plugins
from runtimes.errors import UsageError
from runtimes.sample_arrays import stack


def test_each_metric_is_a_file():
    for name in plugins.names("hwbench.metrics"):
        assert metrics.load(name).name == name
        errors = ("mae", "mse", "perplexity", "wer")
        assert metrics.load(name).higher_is_better is (name not in errors)


@pytest.mark.parametrize(("name", "k"), [("top1", 1), ("top5", 5)])
def test_top_k_finds_the_label_among_the_largest(name, k):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(60, 12)).astype(np.float32), rng.integers(0, 12, 60)
    found = metrics.load(name).score({"y": logits, "other": -logits}, labels)
    wanted = [label in sorted(range(12), key=lambda c: -row[c])[:k] for row, label in zip(logits.tolist(), labels)]
    assert found.tolist() == wanted
    assert 0 < sum(wanted) < 60
    assert metrics.load(name).score({"y": logits[:, :, None]}, labels[:, None]).tolist() == wanted


@pytest.mark.parametrize(("name", "ranked"), [("top1", [0, 1, 0, 1]), ("top5", [0, 1, 1, 1])])
def test_several_classes_may_be_right(name, ranked):
    logits = np.tile(np.arange(8, 0, -1.0), (4, 1))  # class 0 is the largest
    labels = np.array([[7, -1, -1], [0, -1, -1], [3, 7, -1], [7, 6, 0]])
    assert metrics.load(name).score({"y": logits}, labels).tolist() == [bool(r) for r in ranked]


@pytest.mark.parametrize("name", ["top1", "top5"])
def test_nan_is_never_right(name):
    logits = np.array([[np.nan, np.nan], [1.0, 0.0], [np.nan, 1.0]], np.float16)
    assert metrics.load(name).score({"y": logits}, np.array([0, 0, 1])).tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.float32, np.bool_])
@pytest.mark.parametrize("name", ["top1", "top5"])
def test_top_k_takes_quantized_scores(name, dtype):
    scores = np.zeros((1, 8), dtype)
    scores[0, 6] = 1
    assert metrics.load(name).score({"y": scores}, np.array([6])).tolist() == [True]
    assert metrics.load(name).score({"y": scores}, np.array([7])).tolist() == [False]


def test_top5_of_fewer_classes_is_always_right():
    assert metrics.load("top5").score({"y": np.zeros((2, 3))}, np.array([2, 0])).all()


def test_auc_is_the_share_of_pairs_in_the_right_order():
    rng = np.random.default_rng(1)
    labels, scores = rng.integers(0, 2, 30), rng.integers(0, 8, 30)
    pairs = [(p > n) + (p == n) / 2 for p in scores[labels == 1] for n in scores[labels == 0]]
    columns = np.stack([-scores, 0 * scores, scores], axis=1)
    assert metrics.load("auc").score({"y": columns}, labels) == pytest.approx(np.mean(pairs))


def test_auc_of_one_class_is_refused():
    with pytest.raises(ValueError, match="all of one class"):
        metrics.load("auc").score({"y": np.arange(3.0)}, np.ones(3))


def test_parity_is_one_less_the_relative_error_of_an_output():
    outputs = {"a": np.array([[3.0], [0.0]]), "b": np.array([[[0.0, 4.0]], [[0.0, 0.0]]])}
    reference = parity.as_labels(outputs)
    assert reference.tolist() == [[1, 2, 3, 0, 4], [1, 2, 0, 0, 0]]
    assert parity.score(outputs, reference).tolist() == [1, 1]
    close = {"a": outputs["a"] + 0.5, "b": outputs["b"]}
    assert parity.score(close, reference).tolist() == pytest.approx([1 - 0.5 / 3, 0.5])
    small = {name: array / 100 for name, array in close.items()}
    hundredth = parity.as_labels({name: array / 100 for name, array in outputs.items()})
    assert parity.score(small, hundredth).tolist() == pytest.approx([1 - 0.5 / 3, 0.995])
    assert parity.score({"a": -outputs["a"], "b": -outputs["b"] * 9}, reference).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("own", "reference", "score"),
    [
        ([np.nan, 1.0], [1.0, 1.0], 0),
        ([np.inf, 1.0], [1.0, 1.0], 0),
        ([-np.inf, 1.0], [-np.inf, 1.0], 1),
        ([-np.inf, 0.5], [-np.inf, 1.0], 0.5),
        ([np.inf, 1.0], [-np.inf, 1.0], 0),
        ([0.0, 1.0], [-np.inf, 1.0], 0),
        ([np.nan, 1.0], [np.nan, 1.0], 1),
        ([0.0, 1.0], [np.nan, 1.0], 0),
    ],
)
def test_only_the_same_is_close_to_infinity_or_nan(own, reference, score):
    assert parity.score({"y": np.array([own])}, parity.as_labels({"y": np.array([reference])})).tolist() == [score]


@pytest.mark.parametrize(
    ("own", "reference", "score"),
    [
        ([[3.0, 4.0]], [[3.0, 4.0]], 1),
        ([[3.0, 4.0]], [[3.0, 4.0], [0.0, 1.0]], 0.5),  # of two boxes, one was found
        ([[3.0, 0.0], [9.0, 9.0]], [[3.0, 4.0]], 0.5 * 0.2),
        ([], [[3.0, 4.0]], 0),
        ([], [], 1),
    ],
)
def test_outputs_of_other_sizes_are_compared_in_what_both_have(own, reference, score):
    own, reference, other = (np.array(array, np.float32).reshape(-1, 2) for array in (own, reference, [[1.0, 2.0]] * 3))
    labels = parity.as_labels({"boxes": stack([reference, other])})
    assert parity.score({"boxes": stack([own, other])}, labels).tolist() == pytest.approx([score, 1])


USERS = """
from __future__ import annotations
from dataclasses import dataclass

@dataclass
class Weights:
    scale: float = 2.0

def loss(outputs, labels):
    return Weights().scale * abs(outputs["y"] - labels)

loss.higher_is_better = False

def gain(outputs, labels):
    return 1.0

NOT_A_FUNCTION = 3
"""


def test_a_metric_comes_from_a_users_file(tmp_path):
    file = tmp_path / "my.metrics.py"
    file.write_text(USERS)
    loss = metrics.load(f"{file}:loss")
    assert (loss.name, loss.higher_is_better) == ("loss", False)
    assert loss.score({"y": np.array([1, 3])}, np.array([1, 1])).tolist() == [0, 4]
    assert metrics.load(f"{file}:gain").higher_is_better is True


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        (None, "none.py:f", ["There is no file '", "none.py'", "FILE.py:FUNCTION"]),
        (USERS, "m.py:missing", ["m.py' has no function 'missing'", "FILE.py:FUNCTION"]),
        (USERS, "m.py:NOT_A_FUNCTION", ["m.py' has no function 'NOT_A_FUNCTION'"]),
        (USERS, "m.py:map", ["m.py:map' has the name of a built-in metric; name the function otherwise."]),
        (USERS, "m.py:", ["m.py' has no function ''"]),
        (USERS, "m.py", ["m.py' names a file and no function", "FILE.py:FUNCTION"]),
        (
            "import no_such_package_here",
            "m.py:f",
            ["m.py' cannot be imported: ModuleNotFoundError", "no_such_package_here"],
        ),
        ("def f(:", "m.py:f", ["m.py' cannot be imported: SyntaxError"]),
        ("1 / 0", "m.py:f", ["m.py' cannot be imported: ZeroDivisionError: division by zero"]),
        ("raise SystemExit(5)", "m.py:f", ["m.py' cannot be imported: SystemExit: 5"]),
        ("def f(): pass", "m.py:f", ["m.py:f' takes (); a metric takes (outputs, labels)."]),
        ("def f(outputs, labels, k): pass", "m.py:f", ["takes (outputs, labels, k); a metric takes"]),
    ],
)
def test_a_users_metric_that_cannot_be_had_is_told_why(tmp_path, text, name, told):
    if text is not None:
        (tmp_path / "m.py").write_text(text)
    with pytest.raises(UsageError) as caught:
        metrics.load(str(tmp_path / name))
    assert [part for part in told if part not in str(caught.value)] == []


def test_an_unknown_metric_is_told_which_there_are():
    with pytest.raises(
        UsageError, match=re.escape("Unknown metric 'f2'; choose from auc, balanced-accuracy, f1, iou, mae, ")
    ):
        metrics.load("f2")


def test_a_metric_takes_more_as_better_unless_told():
    assert Metric("m", lambda outputs, labels: 0.0).higher_is_better is True


def test_one_hot_labels_of_two_classes_are_told_from_lists_of_right_ones():
    top1, scores = metrics.load("top1"), np.eye(2)
    with pytest.raises(ValueError, match="look one-hot"):
        top1.score({"y": scores}, np.array([[1, 0], [0, 1]]))
    assert top1.score({"y": scores}, np.array([[0, 1], [0, 0]])).tolist() == [True, False]


def test_parity_is_that_of_the_worst_output():
    """Boxes of hundreds of pixels beside scores below one: zeroed scores must show."""
    rng = np.random.default_rng(0)
    outputs = {"boxes": rng.uniform(0, 640, (8, 40)), "scores": rng.uniform(0, 1, (8, 10))}
    broken = {**outputs, "scores": np.zeros((8, 10))}
    assert metrics.load("parity").score(broken, parity.as_labels(outputs)).tolist() == [0.0] * 8


def test_parity_of_integers_is_the_share_that_is_equal():
    reference = parity.as_labels({"class": np.array([[500, 700, 4]])})
    assert metrics.load("parity").score({"class": np.array([[501, 700, 3]])}, reference)[0] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.eye(3, dtype=np.int64), "look one-hot"),
        (np.array([1, 2, 3]), "labels go from 1 to 3, and the model has 3 classes"),
        (np.eye(3, dtype=np.float32), r"look one-hot; give class numbers, as in labels\.argmax\(1\)"),
        (np.eye(3, dtype=bool), "look one-hot"),
        (np.array([0.0, 1.0, 2.0]), "labels are float64; give class numbers"),
        (np.array(["cat", "dog", "cat"]), "labels are text; give class numbers, as integers"),
    ],
)
@pytest.mark.parametrize("name", ["top1", "top5"])
def test_labels_that_are_no_class_numbers_are_refused(name, labels, words):
    with pytest.raises(ValueError, match=words):
        metrics.load(name).score({"y": np.eye(3)}, labels)
