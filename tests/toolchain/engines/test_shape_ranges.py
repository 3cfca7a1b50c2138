"""From --range to the shapes of an engine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.bundles.build_plan import ShapeRange
from runtimes.errors import UsageError
from runtimes.tensors import TensorSpec
from toolchain.engines.shape_ranges import parse_ranges, shape_ranges

IMAGE = TensorSpec("image", "float32", ("N", 3, 8, 8))
TOKENS = TensorSpec("tokens", "int64", ("N", "L"))


def test_a_dimension_that_comes_again_starts_the_next_optimization_profile():
    parsed = parse_ranges(["N=1:1:1", "L=8:64:128", "N=2:8:32"])
    assert parsed == ({"N": (1, 1, 1), "L": (8, 64, 128)}, {"N": (2, 8, 32), "L": (8, 64, 128)})
    assert parse_ranges(["N=4"]) == ({"N": (4, 4, 4)},)
    assert parse_ranges(["p2o.DynamicDimension.0=2", "?=3"]) == ({"p2o.DynamicDimension.0": (2,) * 3, "?": (3,) * 3},)
    assert parse_ranges([]) == ()


@pytest.mark.parametrize("text", ["N", "N=", "N=1:2", "=1:2:3", "N=a:b:c", "N=3:2:1", "N=0:1:2", "N=1:2:3:4", "N=-1"])
def test_what_is_no_range(text):
    with pytest.raises(UsageError, match="expected"):
        parse_ranges([text])


def test_the_batch_needs_no_range_and_static_inputs_have_none():
    assert shape_ranges([IMAGE]) == ({"image": ShapeRange((1, 3, 8, 8), (1, 3, 8, 8), (8, 3, 8, 8))},)
    assert shape_ranges([TensorSpec("x", "float32", (2, 3))]) == ()
    mixed = [TOKENS, TensorSpec("bias", "float32", (4,))]
    (shapes,) = shape_ranges(mixed, parse_ranges(["L=1:2:3", "N=5"]))
    assert shapes == {"tokens": ShapeRange((5, 1), (5, 2), (5, 3))}


def test_any_other_dimension_does():
    with pytest.raises(UsageError, match=r"'L' of the input tokens=int64\[N,L\] is dynamic.*--range L=MIN:OPT:MAX"):
        shape_ranges([TOKENS])
    with pytest.raises(UsageError, match=r"'M', which no input has; .*: L, N"):
        shape_ranges([TOKENS], parse_ranges(["M=1"]))


@given(
    sizes=st.lists(st.tuples(*[st.integers(1, 64)] * 3).map(lambda t: tuple(sorted(t))), min_size=1, max_size=4),
    shape=st.tuples(st.integers(1, 80), st.just(3), st.just(8), st.just(8)),
)
def test_every_optimization_profile_holds_what_its_range_says(sizes, shape):
    profiles = shape_ranges([IMAGE], parse_ranges([f"N={a}:{b}:{c}" for a, b, c in sizes]))
    assert len(profiles) == len(sizes)
    for (least, _, largest), shapes in zip(sizes, profiles):
        assert shapes["image"].holds(shape) == (least <= shape[0] <= largest)


@pytest.mark.parametrize("shapes", [((2,), (1,), (3,)), ((1,), (1, 2), (3,)), ((0,), (1,), (2,))])
def test_shapes_that_are_not_in_order(shapes):
    with pytest.raises(ValueError, match="1 <= min <= opt <= max"):
        ShapeRange(*shapes)
