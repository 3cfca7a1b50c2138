"""Values that leave what calibration saw, and values that do not."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from runtimes.bundles.distribution import Distribution
from runtimes.inference.drift import LEAST_CALLS, DriftMonitor, TensorDrift
from runtimes.tensors import Array
from toolchain.calibration.distributions import distributions

REPEATS = LEAST_CALLS  # of what is seen, so that the index is given


def drift_of(calibration: Array, *seen: Array) -> TensorDrift:
    monitor = DriftMonitor(distributions({"x": calibration}))
    for array in itertools.islice(itertools.cycle(seen), REPEATS * len(seen)):
        monitor.observe({"x": array}, {})
    (found,) = monitor.drift()
    return found


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_same_population_is_stable(rng: np.random.Generator) -> None:
    found = drift_of(rng.normal(size=50_000), *rng.normal(size=(20, 2000)))
    assert found.values == REPEATS * 40_000
    assert found.saturated < 1e-3
    assert found.psi < 0.01


def test_a_shift_is_told_by_the_index_and_the_saturated_share(rng: np.random.Generator) -> None:
    calibration = rng.uniform(0, 1, 10_000)
    found = drift_of(calibration, rng.uniform(0.5, 1.5, 2000))
    assert found.saturated == pytest.approx(0.5, abs=0.05)
    assert found.psi > 0.25


def test_the_index_is_its_formula() -> None:
    monitor = DriftMonitor({"x": Distribution(0.0, 4.0, (1.0, 3.0), (0.25, 0.5, 0.25))})
    for _ in range(LEAST_CALLS - 1):
        monitor.observe({}, {"x": np.array([0.5, 0.5, 1.0, 4.0])})
    (found,) = monitor.drift()
    assert (found.calls, found.psi) == (LEAST_CALLS - 1, None)  # one call says nothing, and few say little
    monitor.observe({}, {"x": np.array([0.5, 0.5, 1.0, 4.0])})
    (found,) = monitor.drift()
    assert found.saturated == 0  # the extremes themselves are inside
    expected = (0.5 - 0.25) * math.log(2) + (0.25 - 0.5) * math.log(0.5)
    assert found.psi == pytest.approx(expected)


def test_what_is_not_a_number_is_outside(rng: np.random.Generator) -> None:
    found = drift_of(rng.normal(size=100).astype(np.float32), np.array([np.nan, np.inf, -np.inf, 0.0], np.float32))
    assert found.saturated == 0.75


def test_large_arrays_are_sampled(rng: np.random.Generator) -> None:
    picture = rng.normal(size=(1, 3, 224, 224)).astype(np.float32)
    found = drift_of(picture, picture, np.asfortranarray(picture))
    assert 2048 <= found.values / REPEATS <= 2 * 4096
    assert found.psi < 0.05


def test_tensors_without_a_reference_or_without_numbers_are_left_alone(rng: np.random.Generator) -> None:
    monitor = DriftMonitor(distributions({"x": rng.normal(size=100)}))
    monitor.observe({"y": np.zeros(3)}, {})
    monitor.observe({"x": np.array(["text"])}, {})
    assert monitor.drift() == ()


def test_a_value_that_dominates_makes_fewer_bins() -> None:
    pixels = np.array([0] * 80 + list(range(1, 21)), np.uint8)
    reference = distributions({"x": pixels})["x"]
    assert (reference.low, reference.high) == (0, 20)
    assert reference.edges == (10,)
    assert reference.shares == pytest.approx((0.89, 0.11))
    assert drift_of(pixels, pixels).psi == pytest.approx(0)


def test_arrays_that_have_no_distribution() -> None:
    none = {"text": np.array(["a"]), "empty": np.zeros(0), "nan": np.array([np.nan, np.inf])}
    assert distributions({**none, "ok": np.array([1.5, np.nan])}).keys() == {"ok"}


@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.float16, np.int64, np.uint8, np.bool_]),
        st.integers(1, 50),
        elements=None,
    )
)
def test_any_calibration_is_stable_against_itself(values: Array) -> None:
    found = distributions({"x": values})
    if not found:
        assert not np.isfinite(values).any()
        return
    assert sum(found["x"].shares) == pytest.approx(1)
    inside = values[np.isfinite(values)]
    drift = drift_of(values, inside)
    assert drift.psi == pytest.approx(0, abs=1e-9)
    assert drift.saturated == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((1.0, 0.0, (), (1.0,)), "not rising"),
        ((0.0, math.inf, (), (1.0,)), "finite"),
        ((0.0, 1.0, (0.5,), (1.0,)), "has 1 shares for 1 edges"),
        ((0.0, 1.0, (0.5,), (1.5, -0.5)), "each 0 to 1"),
    ],
)
def test_distributions_that_cannot_be(arguments: tuple[float, float, tuple[float], tuple[float]], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Distribution(*arguments)
