"""Token accuracy of a language model: the share of tokens whose largest score is the label's."""

from __future__ import annotations

from collections.abc import Mapping

from hwbench.metrics._labels import predicted_classes, threshold
from hwbench.metrics._outputs import one_by_one
from hwbench.metrics._tokens import token_scores
from runtimes.tensors import Array

HIGHER_IS_BETTER = True
BOUNDS = (0.0, 1.0)


def score(outputs: Mapping[str, Array], labels: Array) -> float:
    """Score outputs of shape [n, tokens, vocabulary] against tokens of shape [n, tokens]; negative ones do not count.

    Raises:
        ValueError: the shapes do not fit, or no token counts.
    """
    return combine(reduce(outputs, labels))


def reduce(outputs: Mapping[str, Array], labels: Array) -> dict[str, Array]:
    """Count the right tokens and all tokens of each sample."""
    return _counts(outputs, labels, threshold(outputs))


@one_by_one
def _counts(outputs: Mapping[str, Array], labels: Array, above: float) -> dict[str, Array]:
    scores = token_scores(outputs, labels)
    counts = (labels >= 0).reshape(len(labels), -1)
    right = (predicted_classes(scores, above, axis=scores.ndim - 1) == labels).reshape(len(labels), -1) & counts
    return {"right": right.sum(axis=1), "tokens": counts.sum(axis=1)}


def combine(reduced: Mapping[str, Array]) -> float:
    """Score samples together: each token counts the same."""
    tokens = int(reduced["tokens"].sum())
    if not tokens:
        raise ValueError("no token counts, since all labels are negative")
    return float(reduced["right"].sum()) / tokens
