"""Resampling: bootstrap where a call is quick, groups where it is slow, and resamples that leave nothing out."""

from __future__ import annotations

import numpy as np
import pytest

from hwbench.stats import resampling
from runtimes.errors import UsageError


@pytest.mark.parametrize(
    ("call_s", "n", "planned"),
    [
        (0.001, 1_000, ("bootstrap", 500)),
        (0.02, 1_000, ("bootstrap", 500)),
        (0.5, 1_000, ("jackknife", 20)),
        (0.05, 1_000, ("jackknife", 50)),
        (30.0, 1_000, ("jackknife", 10)),
        (0.1, 40, ("jackknife", 40)),
        (30.0, 8, ("jackknife", 8)),
        (30.0, 1, ("bootstrap", 1)),
    ],
)
def test_the_slower_a_metric_the_fewer_its_calls(call_s, n, planned):
    assert resampling.plan(call_s, n) == planned


def test_groups_leave_every_sample_out_once():
    seen = []

    def figure(rows):
        seen.append(set(rows.tolist()))
        return float(len(rows))

    assert resampling.replicates(figure, 23, "jackknife", 5) == (18, 18, 18, 19, 19)
    left_out = [set(range(23)) - rows for rows in seen]
    assert set.union(*left_out) == set(range(23))
    assert sum(map(len, left_out)) == 23


def test_equal_seeds_make_equal_resamples_even_where_one_is_undefined():
    def figure(rows):
        if 0 not in rows:
            raise UsageError("undefined")
        return float(rows.sum())

    always = resampling.replicates(lambda rows: float(rows.sum()), 6, "bootstrap", 40)
    sometimes = resampling.replicates(figure, 6, "bootstrap", 40)
    assert sum(one == other for one, other in zip(always, sometimes)) > 20
    with pytest.raises(UsageError, match="too few samples to resample: undefined"):
        resampling.replicates(lambda rows: figure(np.ones(1)), 6, "bootstrap", 1)
