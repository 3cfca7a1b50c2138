"""Default limits on accuracy, for metrics that no budget of the user's limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from hwbench import metrics
from hwbench.budgets.budget import Budget, parse
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.quantities import of_metric

OF_SHARES, OF_OTHERS = "0.01", "1%"
"""The default limit on accuracy_drop: a point of a metric that is a share, else that part of the source's value."""


def with_defaults(budgets: Sequence[Budget], source: Accuracy) -> tuple[tuple[Budget, ...], tuple[str, ...]]:
    """Add the default budget of each metric that no budget limits, with notes on them.

    Args:
        budgets: the user's budgets.
        source: the source model's accuracy, with its other metrics.
    """
    names = [one.metric for one in source.each]
    limited = {metrics.find(names, budget.metric) for budget in budgets if budget.is_accuracy}
    added, notes = [], []
    for index, one in enumerate(source.each):
        if index in limited:
            continue
        limit = OF_SHARES if one.is_share else OF_OTHERS
        text = f"{of_metric('accuracy_drop', one.metric if len(names) > 1 else '')}<={limit}"
        added.append(dataclasses.replace(parse(text), is_default=True))
        what = "the accuracy" if len(names) == 1 else one.metric
        meaning = "" if one.is_share else f", a part of the source's {one.metric} ({one.value:.4g}),"
        notes.append(f"No budget limits {what}, so {text}{meaning} was used; give one with --budget.")
    return (*budgets, *added), tuple(notes)
