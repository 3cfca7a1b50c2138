"""Parts of tests of verdicts: one verdict on a report, and accuracies beside their source's."""

from __future__ import annotations

import dataclasses

from hwbench.budgets.budget import Budget, parse
from hwbench.budgets.verdicts import judge
from hwbench.measurements.accuracy import Accuracy


def judge_one(report, limit, baseline=None):
    """Judge a report by one budget, or its text."""
    (verdict,) = judge(report, [limit if isinstance(limit, Budget) else parse(limit)], baseline)
    return verdict


def same_as_source(n, **changes):
    """A candidate that is right on all samples, as its source is."""
    right = Accuracy("top1", True, n, 1.0, scores=(1.0,) * n, proportion=True)
    return dataclasses.replace(right, reference=right, **changes)


def ages(value, source=None, metric="mae"):
    """A mean absolute error near `value`, beside that of the source."""
    reference = ages(source, metric=metric) if source is not None else None
    scores = tuple(value + step / 1e3 for step in range(-20, 21))
    return Accuracy(metric, False, 41, value, scores=scores, reference=reference)
