"""Word error rate: the edits from the words of the first output to the right ones, per right word."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from hwbench.metrics._outputs import called, first, one_by_one
from runtimes.tensors import Array

HIGHER_IS_BETTER = False
BOUNDS = (0.0, math.inf)

_BLANK = 0


def score(outputs: Mapping[str, Array], labels: Array) -> float:
    """Score transcripts by insertions, deletions and substitutions over all words of the labels.

    Args:
        outputs: numbers of words, [n, length], negative behind a transcript's end; or scores of a CTC model,
            [n, frames, symbols], which are decoded greedily: the best symbol per frame, repetitions merged, blanks
            (symbol 0) left out.
        labels: the right numbers, [n, length], negative behind their end. Numbers of characters make a character error
            rate.

    Raises:
        ValueError: the shapes or dtypes do not fit, or there is no right word at all.
    """
    return combine(reduce(outputs, labels))


@one_by_one
def reduce(outputs: Mapping[str, Array], labels: Array) -> dict[str, Array]:
    """Count the edits and the right words of each sample."""
    if labels.dtype.kind not in "iu" or labels.ndim != 2:
        raise ValueError(f"labels are {labels.dtype.name}{list(labels.shape)}; give numbers of words, [n, length]")
    own = first(outputs)
    if own.ndim == 3:
        spoken = [_decoded(frames) for frames in own]
    elif own.ndim == 2 and own.dtype.kind in "iu":
        spoken = [row[row >= 0].tolist() for row in own]
    else:
        raise ValueError(f"{called(outputs)} is neither numbers, int64[n, length], nor scores [n, frames, symbols]")
    right = [row[row >= 0].tolist() for row in labels]
    edits = [_edits(one, other) for one, other in zip(spoken, right)]
    return {"edits": np.array(edits, np.int64), "words": np.array([len(row) for row in right], np.int64)}


def combine(reduced: Mapping[str, Array]) -> float:
    """Score samples together: each word counts the same."""
    words = int(reduced["words"].sum())
    if not words:
        raise ValueError("the labels hold no word")
    return float(reduced["edits"].sum()) / words


def _decoded(frames: Array) -> list[int]:
    best = frames.argmax(axis=-1)
    is_new = np.concatenate([[True], best[1:] != best[:-1]]) if len(best) else best.astype(bool)
    kept: list[int] = best[is_new & (best != _BLANK)].tolist()
    return kept


def _edits(one: Sequence[int], other: Sequence[int]) -> int:
    """Count the fewest edits (Levenshtein's distance), row by row of the usual table."""
    row = list(range(len(other) + 1))
    for start, word in enumerate(one, 1):
        above, row = row, [start]
        for column, right in enumerate(other, 1):
            row.append(min(above[column] + 1, row[-1] + 1, above[column - 1] + (word != right)))
    return row[-1]
