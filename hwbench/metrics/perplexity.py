"""Perplexity of a language model: the exponential of the mean negative log likelihood of the right tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy.special import logsumexp

from hwbench.metrics._outputs import one_by_one
from hwbench.metrics._tokens import token_scores
from runtimes.tensors import Array

HIGHER_IS_BETTER = False
BOUNDS = (1.0, math.inf)


def score(outputs: Mapping[str, Array], labels: Array) -> float:
    """Score logits, or log probabilities, of shape [n, tokens, vocabulary].

    Labels of shape [n, tokens] are the token that each position predicts, so they are shifted already; negative ones do
    not count.

    Raises:
        ValueError: the shapes do not fit, the outputs are probabilities, or no token counts.
    """
    return combine(reduce(outputs, labels))


@one_by_one
def reduce(outputs: Mapping[str, Array], labels: Array) -> dict[str, Array]:
    """Return each sample's negative log likelihood and its number of tokens."""
    scores = token_scores(outputs, labels)
    if len(scores) and (scores[0] >= 0).all() and np.allclose(scores[0].astype(np.float64).sum(axis=-1), 1, atol=1e-2):
        raise ValueError("the outputs are probabilities; let the model return logits or log probabilities")
    loss = [_loss(row.astype(np.float64), right) for row, right in zip(scores, labels)]
    return {"loss": np.array(loss), "tokens": (labels >= 0).reshape(len(labels), -1).sum(axis=1)}


def combine(reduced: Mapping[str, Array]) -> float:
    """Score samples together: each token counts the same."""
    tokens = int(reduced["tokens"].sum())
    if not tokens:
        raise ValueError("no token counts, since all labels are negative")
    return math.exp(min(float(reduced["loss"].sum()) / tokens, 700.0))  # the next power has no float


def _loss(scores: Array, right: Array) -> float:
    counts = right >= 0
    scores, right = scores[counts], right[counts]
    return float((logsumexp(scores, axis=-1) - np.take_along_axis(scores, right[:, None], axis=-1)[:, 0]).sum())
