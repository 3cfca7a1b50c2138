"""Pairs of nodes: which node of one model is which of the other, by their order, names and operators."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from runtimes.profilers import NodeTime

Pair = tuple[NodeTime | None, NodeTime | None]
"""A node before and after; None where it is new, or gone."""

# Exporters number nodes, so one more node gives all later ones other names.
_NUMBERS = re.compile(r"\d+")
_PRODUCTS = ("integer product", "float product")


def pair(before: Sequence[NodeTime], after: Sequence[NodeTime]) -> list[Pair]:
    """Pair the nodes of two models, each in the order in which they ran.

    The pairs are those of the best alignment (Needleman and Wunsch, 1970, A general method applicable to the search
    for similarities in the amino acid sequence of two proteins): nodes of one name without its numbers and one
    operator, else of one name, else of one operator, else two products. Of equally good ones, that with the most equal
    names.
    """
    start = 0
    while start < min(len(before), len(after)) and _likeness(before[start], after[start]) > 3:
        start += 1
    pairs: list[Pair] = list(zip(before[:start], after[:start]))
    return pairs + _aligned(before[start:], after[start:])


def _aligned(before: Sequence[NodeTime], after: Sequence[NodeTime]) -> list[Pair]:
    rows, columns = len(before), len(after)
    best = np.zeros((rows + 1, columns + 1))  # the likeness of all that follow
    for row in range(rows - 1, -1, -1):
        for column in range(columns - 1, -1, -1):
            likeness = _likeness(before[row], after[column])
            both = best[row + 1, column + 1] + likeness if likeness else 0.0
            best[row, column] = max(both, best[row + 1, column], best[row, column + 1])
    pairs: list[Pair] = []
    row = column = 0
    while row < rows and column < columns:
        likeness = _likeness(before[row], after[column])
        if likeness and best[row, column] == best[row + 1, column + 1] + likeness:
            pairs.append((before[row], after[column]))
            row, column = row + 1, column + 1
        elif best[row, column] == best[row + 1, column]:
            pairs.append((before[row], None))
            row += 1
        else:
            pairs.append((None, after[column]))
            column += 1
    return [*pairs, *((node, None) for node in before[row:]), *((None, node) for node in after[column:])]


def _likeness(one: NodeTime, other: NodeTime) -> float:
    same_op = one.op == other.op
    if _NUMBERS.sub("", one.node) == _NUMBERS.sub("", other.node):
        return (3.0 if same_op else 2.0) + (1 / 1024 if one.node == other.node else 0.0)  # exact in binary
    return 1.0 if same_op or (one.kind in _PRODUCTS and other.kind in _PRODUCTS) else 0.0
