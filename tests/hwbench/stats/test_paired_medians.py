"""The intervals of many medians hold together as often as is claimed."""

from __future__ import annotations

import numpy as np
import pytest

from hwbench.stats.paired_medians import paired_medians, rounds_needed


@pytest.mark.parametrize("columns", [1, 20, 300])
def test_all_intervals_together_miss_at_most_one_time_in_twenty(columns):
    rng, rounds, trials = np.random.default_rng(0), rounds_needed(columns), 400
    missed = 0
    for _ in range(trials):
        found = paired_medians(rng.standard_t(2, (rounds, columns)) + 3)
        missed += any(not each.low <= 3 <= each.high for each in found)
    assert missed <= 0.05 * trials + 3 * (0.05 * 0.95 * trials) ** 0.5


def test_one_outlier_does_not_hide_a_change():
    changes = np.full((rounds_needed(50), 50), 0.0)
    changes[:, 7] = np.linspace(9, 10, len(changes))
    changes[3] = -1000
    found = paired_medians(changes)
    assert [index for index, each in enumerate(found) if each.low > 0] == [7]


def test_too_few_rounds_give_no_interval():
    (found,) = paired_medians(np.ones((3, 1)))
    assert (found.value, found.low, found.high) == (1, -np.inf, np.inf)
    assert rounds_needed(1) < rounds_needed(1000)
