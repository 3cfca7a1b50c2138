"""Sets of samples of one population are told from sets of two, however few they are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.tensors import Array
from toolchain.calibration.exchangeability import exceedance_probability, shift


@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_exceedances_are_as_probable_as_counting_all_orders_says(n: int, others: int, data: st.DataObject) -> None:
    above = data.draw(st.integers(0, n))
    places = list(itertools.combinations(range(n + others), n))  # of the n samples in the order of all
    as_many = [chosen for chosen in places if set(range(n + others - above, n + others)) <= set(chosen)]
    assert exceedance_probability(above, n, others) == pytest.approx(len(as_many) / len(places))


def counts_of(samples: Array) -> Array:
    """Count values of [samples, variables, values], which are in [0, 1), in ten bins."""
    return (np.floor(samples * 10)[..., None] == np.arange(10)).sum(axis=2)


def alike(rng: np.random.Generator, n: int, variables: int = 5, values: int = 40) -> Array:
    """Samples whose values are all alike within a sample, as pixels of one picture are."""
    return (rng.random((n, 1, 1)) + rng.random((n, variables, values)) * 0.2) % 1


@pytest.mark.parametrize(("n", "m"), [(64, 32), (8, 8), (3, 20)])
def test_one_population_is_seldom_told_apart(n: int, m: int) -> None:
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        _, chance = shift(counts_of(alike(rng, n)), counts_of(alike(rng, m)))
        alarms += chance.min() <= 0.05
    assert alarms <= 8  # 3 are expected; more than 8 come in 0.3% of all cases


def test_one_sample_proves_nothing() -> None:
    counts = counts_of(alike(np.random.default_rng(0), 33))
    _, chance = shift(counts[:1], counts[1:] * 0 + np.eye(10)[9])
    assert chance.min() > 0.01


def test_the_variable_that_is_shifted_is_told_among_many() -> None:
    rng = np.random.default_rng(0)
    calibration, evaluation = rng.random((32, 50, 40)), rng.random((16, 50, 40))
    evaluation[:, 7] **= 2
    for samples in (calibration, evaluation):
        samples[:, 8:30] = samples[:, 8:30, :1]  # of one value each, whose index is large by chance
    index, chance = shift(counts_of(calibration), counts_of(evaluation))
    assert np.flatnonzero(chance <= 0.01).tolist() == [7]
    assert index[7] > 0.25
    assert (index[8:30] > index[7]).any()


def test_variables_without_values_have_not_moved() -> None:
    index, chance = shift(np.zeros((4, 2, 10)), np.zeros((3, 2, 10)))
    assert index.tolist() == [0, 0]
    assert (chance > 0.5).all()
