"""Tokens: the scores and the labels of language models, as their metrics read them."""

from __future__ import annotations

from collections.abc import Mapping

from hwbench.metrics._outputs import called, first
from runtimes.tensors import Array


def token_scores(outputs: Mapping[str, Array], labels: Array) -> Array:
    """Return the scores of the first output, whose shape is that of the labels and an axis of the vocabulary.

    Raises:
        ValueError: the shapes do not fit, or the labels are no token numbers of the model.
    """
    scores = first(outputs)
    if scores.shape[:-1] != labels.shape:
        raise ValueError(
            f"{called(outputs)} is not that of the labels, {list(labels.shape)}, with an axis of the vocabulary behind"
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels are {labels.dtype.name}; give token numbers, as integers")
    if labels.size and labels.max() >= scores.shape[-1]:
        raise ValueError(f"labels go up to {labels.max()}, and the model's vocabulary has {scores.shape[-1]} tokens")
    return scores
