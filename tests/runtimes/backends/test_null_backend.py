"""The runtime that computes nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from runtimes.backends import null
from runtimes.bundles.manifest import Artifact
from runtimes.errors import BackendError
from runtimes.tensors import Array, TensorSpec


def test_it_opens_any_bytes_and_answers_zeros(artifact: Artifact, images: Array) -> None:
    for model in (b"", b"anything"):
        with null.load(artifact, model) as session:
            assert not session.run({"image": images})["scores"].any()


def test_sizes_that_only_outputs_name_are_one(artifact: Artifact, images: Array) -> None:
    boxes = TensorSpec("boxes", "int64", ("N", "found", 4))
    with null.load(dataclasses.replace(artifact, outputs=(boxes,)), b"") as session:
        boxes_of_two = session.run({"image": images[:2]})["boxes"]
    assert (boxes_of_two.shape, boxes_of_two.dtype) == ((2, 1, 4), np.int64)


@pytest.mark.parametrize(("dtype", "shape"), [("float33", (1,)), ("float32", (2**62, 2**62)), ("bfloat17", (2,))])
def test_outputs_that_cannot_be_made(artifact: Artifact, images: Array, dtype: str, shape: tuple[int, ...]) -> None:
    impossible = TensorSpec("y", dtype, shape)
    session = null.load(dataclasses.replace(artifact, outputs=(impossible,)), b"")
    with pytest.raises(BackendError, match=r"^The null runtime cannot make the output y="):
        session.run({"image": images})
