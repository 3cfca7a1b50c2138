"""Other sizes of dynamic dimensions, and feeds of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from runtimes.tensors import TensorSpec, check_feeds
from toolchain.sources.sizes import batches, other_sizes, resized, resized_to, sizes_of

DIMS = st.lists(st.sampled_from(["N", "T", "H", 1, 3]), max_size=4).map(tuple)
SPECS = st.lists(DIMS, min_size=1, max_size=3).map(
    lambda shapes: [TensorSpec(f"x{index}", "int64", shape) for index, shape in enumerate(shapes)]
)


@settings(max_examples=30)
@given(SPECS, st.fixed_dictionaries({letter: st.integers(1, 70) for letter in "NTH"}), st.integers(1, 99))
def test_resized_feeds_fit_and_hold_values_that_were_there(specs, sizes, value):
    feeds = {spec.name: np.full(spec.resolve(sizes), value) for spec in specs}
    assert sizes_of(specs, feeds) == {d: sizes[d] for spec in specs for d in spec.shape if isinstance(d, str)}
    for other in other_sizes(specs, sizes_of(specs, feeds)):
        changed = resized(specs, feeds, other)
        assert check_feeds(specs, changed) == other
        assert all((array == value).all() for array in changed.values())


def test_no_two_repetitions_of_floats_are_equal():
    """A detector's boxes of equal parts would have equal scores, and come in any order."""
    image = np.random.default_rng(0).uniform(1, 2, (1, 4, 4)).astype(np.float32)
    repeated = resized_to(image, (2, 8, 12))
    assert repeated.dtype == np.float32
    assert np.array_equal(repeated[:1, :4, :4], image)
    assert len(np.unique((repeated / np.tile(image, (2, 2, 3))).round(4))) == 12
    np.testing.assert_allclose(repeated, np.tile(image, (2, 2, 3)), rtol=0.1)


def test_batches_grow_by_one_and_others_by_factors_of_two():
    specs = [TensorSpec("x", "float32", ("N", "T", 8)), TensorSpec("h", "float32", ("L", 4))]
    assert batches(specs) == {"N", "L"}
    found = list(other_sizes(specs, {"N": 1, "T": 12, "L": 64}))
    assert found[:2] == [{"N": 2, "T": 24, "L": 65}, {"N": 2, "T": 6, "L": 65}]
    assert {"N": 1, "T": 24, "L": 64} in found


def test_long_dimensions_are_halved_first():
    assert next(other_sizes([TensorSpec("x", "float32", ("N", "H"))], {"N": 1, "H": 224})) == {"N": 2, "H": 112}
