"""Specs, and the check of arrays against them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.errors import FeedError
from runtimes.tensors import Array, TensorSpec, check_feeds, check_out

IMAGE = TensorSpec("image", "float32", ("N", 3, "H", "H"))
MASK = TensorSpec("mask", "bool", ("N", 4))
SPECS = (IMAGE, MASK)


def feeds(**changes: Any) -> dict[str, Any]:
    return {"image": np.zeros((2, 3, 5, 5), np.float32), "mask": np.zeros((2, 4), bool), **changes}


def test_a_spec_reads_as_users_write_it() -> None:
    assert str(IMAGE) == "image=float32[N,3,H,H]"
    assert str(TensorSpec("x", "int64", ())) == "x=int64[]"


def test_static_means_without_names() -> None:
    assert TensorSpec("x", "int8", (1, 2)).is_static
    assert not IMAGE.is_static


def test_resolving_takes_sizes_by_name_and_a_default_for_others() -> None:
    assert IMAGE.resolve({"N": 7}) == (7, 3, 1, 1)
    assert IMAGE.resolve({}, default=8) == (8, 3, 8, 8)


def test_a_negative_size_is_no_size() -> None:
    with pytest.raises(ValueError, match=r"has shape \[-1, 3\]"):
        TensorSpec("x", "int8", (-1, 3))


def test_good_feeds_give_the_sizes_of_the_named_dimensions() -> None:
    assert check_feeds(SPECS, feeds()) == {"N": 2, "H": 5}


@given(st.integers(0, 3), st.integers(0, 5))
def test_named_dimensions_take_any_size_zero_included(n: int, h: int) -> None:
    arrays = {"image": np.zeros((n, 3, h, h), np.float32), "mask": np.zeros((n, 4), bool)}
    assert check_feeds(SPECS, arrays) == {"N": n, "H": h}


@given(st.lists(st.integers(0, 4), max_size=5))
def test_a_shape_fits_or_is_refused(shape: list[int]) -> None:
    fits = len(shape) == 4 and shape[1] == 3 and shape[2] == shape[3]
    arrays = {"image": np.zeros(shape, np.float32)}
    if fits:
        assert IMAGE.resolve(check_feeds((IMAGE,), arrays)) == tuple(shape)
    else:
        with pytest.raises(FeedError) as error:
            check_feeds((IMAGE,), arrays)
        assert f"has shape {shape}; expected [N, 3, H, H]" in str(error.value)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        pytest.param(
            feeds(image=np.zeros((2, 3, 5, 5))),
            "Input 'image' is float64; expected float32. Convert it with .astype('float32').",
            id="dtype",
        ),
        pytest.param(
            feeds(image=np.zeros((2, 3, 5, 5), ">f4")),
            "Input 'image' is float32 in another byte order than this machine's ('>f4'). "
            "Convert it with .astype('float32').",
            id="byte order",
        ),
        pytest.param(
            feeds(image=np.zeros((2, 1, 5, 5), np.float32)),
            "Input 'image' has shape [2, 1, 5, 5]; expected [N, 3, H, H].",
            id="fixed size",
        ),
        pytest.param(
            feeds(image=np.zeros((3, 5, 5), np.float32)),
            "Input 'image' has shape [3, 5, 5]; expected [N, 3, H, H].",
            id="rank",
        ),
        pytest.param(
            feeds(image=np.zeros((2, 3, 5, 6), np.float32)),
            "Input 'image' has shape [2, 3, 5, 6]; expected [N, 3, H, H], where another input already set H = 5.",
            id="a name twice in one input",
        ),
        pytest.param(
            feeds(mask=np.zeros((3, 4), bool)),
            "Input 'mask' has shape [3, 4]; expected [N, 4], where another input already set N = 2.",
            id="a name in two inputs",
        ),
        pytest.param(
            feeds(mask=[[True] * 4] * 2),
            "Input 'mask' is a list; pass a NumPy array of mask=bool[N,4].",
            id="no array",
        ),
        pytest.param(
            {"image": feeds()["image"]},
            "Inputs missing 'mask'; the model takes image=float32[N,3,H,H], mask=bool[N,4].",
            id="missing",
        ),
        pytest.param(
            feeds(label=np.zeros(2)),
            "Inputs unknown 'label'; the model takes image=float32[N,3,H,H], mask=bool[N,4].",
            id="unknown",
        ),
        pytest.param(
            {"imgae": feeds()["image"], "mask": feeds()["mask"]},
            "Inputs missing 'image' and unknown 'imgae'; the model takes image=float32[N,3,H,H], mask=bool[N,4].",
            id="misspelt",
        ),
        pytest.param(
            {0: feeds()["image"], "x": feeds()["mask"]},
            "Inputs missing 'image', 'mask' and unknown 0, 'x'; the model takes image=float32[N,3,H,H], "
            "mask=bool[N,4].",
            id="keys that are no names",
        ),
        pytest.param(
            feeds()["image"],
            "Inputs are a ndarray; pass a dict of image=float32[N,3,H,H], mask=bool[N,4].",
            id="a bare array",
        ),
    ],
)
def test_bad_feeds_are_told_what_was_expected_and_what_came(bad: Any, message: str) -> None:
    with pytest.raises(FeedError) as error:
        check_feeds(SPECS, bad)
    assert str(error.value) == message


@pytest.mark.parametrize("array", [np.zeros((4, 2), bool).T, np.zeros((4, 8), bool)[::2, ::2]])
def test_arrays_may_lie_in_memory_as_they_like(array: Array) -> None:
    assert check_feeds((MASK,), {"mask": array}) == {"N": len(array)}


def test_a_model_may_take_nothing() -> None:
    assert check_feeds((), {}) == {}


@given(st.data())
def test_only_arrays_whose_elements_lie_apart_take_outputs(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(0, 4), max_size=3))
    strides = [4 * data.draw(st.integers(0, 8)) for _ in sizes]
    array = np.lib.stride_tricks.as_strided(np.zeros(200, np.float32), sizes, strides)
    places = {sum(i * s for i, s in zip(index, strides)) for index in np.ndindex(*sizes)}
    try:
        check_out((TensorSpec("y", "float32", tuple(sizes)),), {"y": array}, {})
    except FeedError:
        return
    assert len(places) == array.size


@pytest.mark.parametrize(
    "view",
    [lambda a: a, lambda a: a.T, lambda a: a[::2, ::-1], lambda a: a[:, :, None][:, 1:2], lambda a: a[::-1, 2:]],
)
def test_views_of_one_array_take_outputs(view: Any) -> None:
    array = view(np.zeros((6, 4), np.float32))
    check_out((TensorSpec("y", "float32", array.shape),), {"y": array}, {})


def test_a_broadcast_array_takes_no_output() -> None:
    array = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (3, 2), (0, 0))
    with pytest.raises(FeedError, match="elements that share memory"):
        check_out((TensorSpec("y", "float32", (3, 2)),), {"y": array}, {})
