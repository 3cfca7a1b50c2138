"""Metrics of tokens and words: sums by hand and torchmetrics' documented example."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwbench import metrics


def _score(name, own, labels):
    return metrics.load(name).score({"y": np.asarray(own)}, np.asarray(labels))


def test_perplexity_of_a_guess_is_the_size_of_the_vocabulary():
    assert _score("perplexity", np.zeros((2, 3, 7), np.float32), np.ones((2, 3), int)) == pytest.approx(7)


def test_perplexity_weighs_every_token_that_counts_alike():
    shares = np.array([[[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], [[0.2, 0.7, 0.1], [1 / 3] * 3]])
    labels = [[0, 2], [1, -100]]
    wanted = math.exp(-(math.log(0.5) + math.log(0.8) + math.log(0.7)) / 3)
    assert _score("perplexity", np.log(shares), labels) == pytest.approx(wanted)
    assert _score("perplexity", np.log(shares) + 5, labels) == pytest.approx(wanted)  # logits have any sum
    with pytest.raises(ValueError, match="the outputs are probabilities; let the model return logits"):
        _score("perplexity", shares, labels)


def test_token_accuracy_counts_tokens():
    scores = np.eye(4)[[[0, 1, 2], [3, 3, 3]]]
    assert _score("token-accuracy", scores, [[0, 1, 1], [3, -1, -1]]) == 0.75
    scores[1, 0, 0] = np.nan
    assert _score("token-accuracy", scores, [[0, 1, 1], [3, -1, -1]]) == 0.5


@pytest.mark.parametrize(
    ("shape", "labels", "words"),
    [
        (
            (2, 3),
            np.zeros((2, 3), int),
            r"output 'y' of shape \[2, 3\] is not that of the labels, \[2, 3\], with an axis",
        ),
        ((2, 3, 5), np.zeros((2, 4), int), "is not that of the labels"),
        ((2, 3, 5), np.full((2, 3), 5), "labels go up to 5, and the model's vocabulary has 5 tokens"),
        ((2, 3, 5), np.zeros((2, 3)), "labels are float64"),
        ((2, 3, 5), np.full((2, 3), -1), "no token counts"),
    ],
)
@pytest.mark.parametrize("name", ["perplexity", "token-accuracy"])
def test_labels_that_are_no_tokens_are_told(name, shape, labels, words):
    with pytest.raises(ValueError, match=words):
        _score(name, np.zeros(shape), labels)


WORDS = {word: i for i, word in enumerate("this is the prediction reference there an other another one sample".split())}


def _numbers(*sentences):
    rows = [[WORDS[word] for word in sentence.split()] for sentence in sentences]
    return np.array([row + [-1] * (6 - len(row)) for row in rows])


def test_wer_is_that_of_torchmetrics_example():
    spoken = _numbers("this is the prediction", "there is an other sample")
    assert _score("wer", spoken, _numbers("this is the reference", "there is another one")) == 0.5


@pytest.mark.parametrize(
    ("spoken", "right", "edits"),
    [("", "this is", 2), ("this is the", "is", 2), ("is this", "this is", 2), ("this is", "this the is", 1)],
)
def test_edits_are_insertions_deletions_and_substitutions(spoken, right, edits):
    assert _score("wer", _numbers(spoken), _numbers(right)) == pytest.approx(edits / len(right.split()))


def test_frames_of_a_ctc_model_are_decoded_greedily():
    frames = np.eye(4)[[[1, 1, 0, 1, 2, 2, 0, 0]]]
    assert _score("wer", frames, [[1, 1, 2]]) == 0
    assert _score("wer", frames, [[1, 2, -1]]) == 0.5


@pytest.mark.parametrize(
    ("own", "labels", "words"),
    [
        (np.zeros((2, 3)), np.zeros((2, 3), int), "is neither numbers, .*, nor scores"),
        (np.zeros((2, 3), int), np.array(["a b", "c"]), "give numbers of words"),
        (np.zeros((2, 3), int), np.full((2, 3), -1), "the labels hold no word"),
    ],
)
def test_what_are_no_words_is_told(own, labels, words):
    with pytest.raises(ValueError, match=words):
        _score("wer", own, labels)
