"""Pairs of weights that a kernel adds in int16."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from arithmetic import exactly
from correction_models import Case

from runtimes.profile import QuantizationScheme
from toolchain.models import ort_session
from toolchain.quantizers._kernel_pairs import Pairing, of_matrix, pairings, rows
from toolchain.recipes.recipe import Recipe


def conv(group: int = 1) -> ir.Node:
    return ir.node("Conv", [ir.Value(name="x"), ir.Value(name="w")], attributes={"group": group})


def pairs(pairing: Pairing) -> set[tuple[int, int]]:
    return {(i, int(j)) for i, j in enumerate(pairing.partners) if j > i}


def test_a_matrix_pairs_neighbours_and_leaves_an_odd_one_alone() -> None:
    assert pairs(of_matrix(5)) == {(0, 1), (2, 3)}
    assert of_matrix(5).partners[4] == -1


def test_a_convolution_pairs_channels_at_one_position() -> None:
    (only,) = pairings(conv(), (8, 2, 1, 3), 0)
    assert pairs(only) == {(0, 3), (1, 4), (2, 5)}  # weights lie as (channel, position)


def test_an_odd_number_of_channels_pairs_in_two_ways() -> None:
    whole, by_position = pairings(conv(), (8, 3, 1, 2), 0)
    assert pairs(whole) == {(0, 2), (1, 4), (3, 5)}  # kernel order: 0 2 4 | 1 3 5
    assert pairs(by_position) == {(0, 2), (1, 3)}


def test_a_convolution_of_one_channel_each_pairs_nothing() -> None:
    assert pairings(conv(group=8), (8, 1, 3, 3), 0) == ()
    assert len(pairings(conv(), (8, 1, 3, 3), 0)) == 1  # grey pictures are no depthwise case


@pytest.mark.parametrize(("axis", "largest"), [(0, [3.0, 5.0]), (1, [0.0, 6.0])])
def test_only_sums_of_equal_signs_count(axis: int, largest: list[float]) -> None:
    weight = np.array([[1.0, 2.0], [-1.0, -4.0]]) if axis == 0 else np.array([[1.0, 2.0], [-1.0, 4.0]])
    assert of_matrix(2).largest(rows(weight, axis)).tolist() == largest


@pytest.mark.int8
@pytest.mark.parametrize("group", [1, 3])
@pytest.mark.parametrize("channels", [3, 6, 9])
@pytest.mark.parametrize("window", [1, 3])
def test_no_kernel_saturates_with_a_reduced_range(tmp_path: Path, channels: int, window: int, group: int) -> None:
    """A test of this CPU's kernels: with the largest inputs and weights of one sign, each pair is at its bound."""
    rng = np.random.default_rng(channels)
    weight = rng.uniform(0.5, 1, (6, channels // group, window, window)) * rng.choice([-1, 1], (6, 1, 1, 1))
    text = f"conv (float[N,{channels},8,8] x) => (float[N,6,H,W] y) {{ y = Conv<group={group}>(x, w) }}"
    made = Case.of(tmp_path, text, {"w": weight}, {"x": np.ones((2, channels, 8, 8), np.float32)})
    path = made.quantized(Recipe("int8", "minmax", QuantizationScheme(reduce_range=True))).path
    feeds = {"x": made.samples.arrays["x"][:]}
    (seen,) = ort_session.session(path).run(None, feeds)
    (exact,) = exactly(path, feeds)
    np.testing.assert_allclose(seen, exact, atol=np.abs(exact).max() / 127)
