"""Change points of a series."""

from __future__ import annotations

import numpy as np
import pytest

from hwbench.stats.change_points import Level, change, levels, why_undetectable


def starts(values):
    return [level.start for level in levels(values)]


def test_levels_are_medians_of_their_runs():
    assert levels([1.0, 1.001, 0.999, 1.0, 2.0, 2.001, 2.0, 1.999]) == (Level(0, 4, 1.0), Level(4, 8, 2.0))


@pytest.mark.parametrize(("after", "told"), [(1.05, "+5.0%"), (0.8, "-20.0%"), (2.5, "2.5x"), (21.66, "21.7x")])
def test_a_change_in_words(after, told):
    assert change(Level(0, 3, 1.0), Level(3, 6, after)) == told


@pytest.mark.parametrize("step", [1.05, 0.8])
def test_a_step_larger_than_the_noise_is_a_change(step):
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.lognormal(0, 0.01, 20), step * rng.lognormal(0, 0.01, 20)])
    assert starts(values.tolist()) == [0, 20]


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_change(seed):
    assert starts(np.random.default_rng(seed).lognormal(0, 0.05, 60).tolist()) == [0]


def test_too_few_or_senseless_values_have_no_changes():
    assert starts([1.0] * 5) == [0]
    assert starts([1.0] * 40) == [0]
    assert starts([1.0, -1.0] * 20) == [0]


def test_of_values_at_zero_or_below_it_is_said_that_no_change_can_be_told():
    assert why_undetectable([0.01] * 6) is None
    for values in ([0.0, 0.02], [-0.01, 0.02]):
        assert "values of zero or below" in why_undetectable(values)


def test_of_few_runs_it_is_said_how_many_a_change_takes():
    assert why_undetectable([1.0, 1.0, 1.0, 4.0, 4.0]) == "a change takes 3 runs on each side, and there are 5 in all"
    assert len(levels([1.0, 1.0, 1.0, 4.0, 4.0])) == 1
    assert [level.median for level in levels([1.0, 1.0, 1.0, 4.0, 4.0, 4.0])] == [1.0, 4.0]
