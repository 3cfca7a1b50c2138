"""Histograms that grow equal histograms with the final width from the start."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runtimes.tensors import Array
from toolchain.calibration.histogram import HALF_BINS, Histogram, Histograms
from toolchain.calibration.methods import entropy, mse, percentile
from toolchain.graphs.value_range import Range

samples = st.lists(
    hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=8
)


def grown(parts: list[Array]) -> Histogram:
    histograms = Histograms(1)
    for part in parts:
        histograms.add(np.array([part.min()], np.float64), np.array([part.max()], np.float64), part, [part.size])
    return histograms.finish()[0]


@given(samples, st.randoms())
def test_the_order_of_the_samples_does_not_matter(parts: list[Array], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = random.sample(parts, len(parts))
    one, other = grown(parts), grown(shuffled)
    assert (one.width, one.low, one.high) == (other.width, other.low, other.high)
    np.testing.assert_array_equal(one.counts, other.counts)


@given(samples)
def test_how_the_samples_were_split_does_not_matter(parts: list[Array]) -> None:
    one, other = grown(parts), grown([np.concatenate(parts)])
    assert one.width == other.width
    np.testing.assert_array_equal(one.counts, other.counts)


@given(samples)
def test_it_counts_what_numpy_counts(parts: list[Array]) -> None:
    values = np.concatenate(parts).astype(np.float64)
    histogram = grown(parts)
    assert histogram.counts.sum() == len(values)
    expected, _ = np.histogram(values, histogram.edges)
    np.testing.assert_array_equal(histogram.counts, expected)
    assert np.abs(values).max() <= histogram.width * HALF_BINS


@given(samples, samples)
def test_tensors_keep_to_themselves(first: list[Array], second: list[Array]) -> None:
    pairs = list(zip(first, second))
    histograms = Histograms(2)
    for pair in pairs:
        low, high = (np.array([reduce(part) for part in pair], np.float64) for reduce in (np.min, np.max))
        histograms.add(low, high, np.concatenate(pair), [part.size for part in pair])
    for found, parts in zip(histograms.finish(), zip(*pairs)):
        alone = grown(list(parts))
        assert (found.width, found.low, found.high) == (alone.width, alone.low, alone.high)
        np.testing.assert_array_equal(found.counts, alone.counts)


def test_an_empty_sample_adds_nothing() -> None:
    histograms = Histograms(1)
    histograms.add(np.array([np.inf]), np.array([-np.inf]), np.zeros(0, np.float32), [0])
    histograms.add(np.array([1.0]), np.array([2.0]), np.array([1, 2], np.float32), [2])
    histograms.add(np.array([0.0]), np.array([-np.inf]), np.zeros(0, np.float32), [0])
    (found,) = histograms.finish()
    assert (found.low, found.high, found.counts.sum()) == (1, 2, 2)


@pytest.mark.parametrize("choose", [percentile.choose, mse.choose, entropy.choose])
@given(parts=samples)
def test_no_method_chooses_beyond_the_extremes(choose, parts: list[Array]) -> None:  # type: ignore[no-untyped-def]
    histogram = grown(parts)
    selected = choose(histogram)
    assert histogram.low <= selected.low <= selected.high <= histogram.high


@pytest.mark.parametrize("sign", [1, -1])
def test_mse_keeps_a_range_where_all_values_but_one_are_alike(sign: int) -> None:
    """A value a hundred million times and a larger one once: the best threshold that is tried is below both."""
    often, once = np.float32(858.6094), np.float32(894.206)
    one = grown([np.array([often, once]) * np.float32(sign)])
    histogram = replace(one, counts=one.counts * np.where(np.abs(one.centres) < 860, 10**8, 1))
    assert mse.choose(histogram) == Range(float(often) * sign, float(often) * sign)


def normal_with_outliers() -> Histogram:
    rng = np.random.default_rng(0)
    return grown([rng.standard_normal(100_000).astype(np.float32), np.array([100.0, -100.0], np.float32)])


def test_percentile_leaves_out_what_is_rarer_than_its_tail() -> None:
    selected = percentile.choose(normal_with_outliers())
    # 99.99% of a standard normal lies within 3.89; a bin is 128 / 2048 wide.
    assert selected.low == pytest.approx(-3.89, abs=0.5)
    assert selected.high == pytest.approx(3.89, abs=0.5)


def test_mse_clips_outliers_and_keeps_a_uniform_whole() -> None:
    rng = np.random.default_rng(0)
    assert error(normal_with_outliers(), mse.choose) < error(normal_with_outliers(), extremes)
    uniform = grown([rng.uniform(-1, 1, 100_000).astype(np.float32)])
    assert mse.choose(uniform).high > 0.97


def test_entropy_clips_outliers() -> None:
    selected = entropy.choose(normal_with_outliers())
    assert 2 < selected.high < 50


def test_entropy_is_not_misled_by_relus_zeros() -> None:
    rng = np.random.default_rng(0)
    rectified = np.maximum(rng.standard_normal(100_000), 0).astype(np.float32)
    assert entropy.choose(grown([rectified])).high > 2


@given(samples)
def test_the_divergence_is_that_of_its_definition(parts: list[Array]) -> None:
    magnitudes = np.abs(grown(parts).counts[HALF_BINS:]).astype(np.float64)
    last = int(np.flatnonzero(magnitudes).max(initial=0)) + 1
    stops = np.unique([*range(min(128, last), last, 300), last])
    expected = [divergence(magnitudes[:last], int(stop)) for stop in stops]
    np.testing.assert_allclose(entropy._divergences(magnitudes[:last], stops), expected, atol=1e-9)


def divergence(magnitudes: Array, stop: int) -> float:
    """Of the clipped distribution from its 128 levels, bin by bin."""
    p = magnitudes[:stop].copy()
    p[-1] += magnitudes[stop:].sum()
    q, levels = np.zeros(stop), np.arange(stop) * 128 // stop
    for level in np.unique(levels):
        bins = np.flatnonzero((levels == level) & (magnitudes[:stop] > 0))
        q[bins] = magnitudes[bins].sum() / max(len(bins), 1)
    if not q.any():
        return float("inf")
    p, q = p / p.sum(), np.maximum(q / q.sum(), 1e-12)
    return float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())


def extremes(histogram: Histogram) -> Range:
    return Range(histogram.low, histogram.high)


def error(histogram: Histogram, choose) -> float:  # type: ignore[no-untyped-def]
    selected = choose(histogram)
    step = (selected.high - selected.low) / 255
    restored = np.rint(np.clip(histogram.centres, selected.low, selected.high) / step) * step
    return float(((restored - histogram.centres) ** 2 * histogram.counts).sum())
