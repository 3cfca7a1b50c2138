"""Gates as people write them: does the candidate exceed the baseline by more than the limit, told from a few runs?

A candidate's and a baseline's samples are [runs, samples] in ms, and the limit is a share: 0.025 allows 2.5% more.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from runtimes.tensors import Array

Gate = Callable[[Array, Array, float], bool]


def one_shot(candidate: Array, baseline: Array, limit: float) -> bool:
    """p90 of one run against that of one run."""
    return _p90(candidate[0]) > (1 + limit) * _p90(baseline[0])


def best_of_three(candidate: Array, baseline: Array, limit: float) -> bool:
    """The least p90 of three runs."""
    return min(map(_p90, candidate[:3])) > (1 + limit) * min(map(_p90, baseline[:3]))


def t_test(candidate: Array, baseline: Array, limit: float) -> bool:
    """Welch's one-sided test on the means of 30 samples each, at 1%."""
    p = stats.ttest_ind(
        candidate[0][:30], (1 + limit) * baseline[0][:30], equal_var=False, alternative="greater"
    ).pvalue
    return bool(p < 0.01)


def stable_windows(candidate: Array, baseline: Array, limit: float) -> bool:
    """Triton Model Navigator's: windows until the median latency of three in a row is within 10%, then their mean."""
    return _stable(candidate) > (1 + limit) * _stable(baseline)


GATES: dict[str, Gate] = {
    "one-shot p90": one_shot,
    "best of three": best_of_three,
    "t-test on 30": t_test,
    "three stable windows": stable_windows,
}


def _p90(samples: Array) -> float:
    return float(np.quantile(samples, 0.9))


def _stable(runs: Array) -> float:
    windows = [float(np.median(part)) for run in runs for part in np.array_split(run, 2)]
    for index in range(len(windows) - 2):
        three = windows[index : index + 3]
        if max(three) <= 1.1 * min(three):
            return float(np.mean(three))
    return windows[-1]
