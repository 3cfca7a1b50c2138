"""Limits of inputs: what is beyond them is refused, by a session of any runtime, and nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtimes.bundles.input_limits import InputLimits
from runtimes.bundles.manifest import Artifact
from runtimes.codec import decode, encode
from runtimes.errors import FeedError
from runtimes.inference.session import Session
from runtimes.tensors import Array, Feeds, TensorSpec

LIMITS = InputLimits({"T": 6}, {"ids": 10})


class Copying(Session):
    """Returns its inputs."""

    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        return {name: array.copy() for name, array in feeds.items()}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the artifact stays unchanged
@given(length=st.integers(0, 9), values=st.lists(st.integers(-12, 12), min_size=9, max_size=9))
def test_a_session_refuses_what_is_beyond(artifact: Artifact, length: int, values: list[int]) -> None:
    specs = (TensorSpec("ids", "int64", ("N", "T")),)
    session = Copying(dataclasses.replace(artifact, inputs=specs, outputs=specs, limits=LIMITS))
    feeds = {"ids": np.array([values[:length]], np.int64)}
    inside = all(-10 <= value < 10 for value in values[:length])
    if length <= 6 and inside:
        np.testing.assert_array_equal(session.run(feeds)["ids"], feeds["ids"])
    else:
        words = "Dimension T is .; the model takes 6 at most" if length > 6 else "Input 'ids' holds -?1.*has 10 rows"
        with pytest.raises(FeedError, match=words):
            session.run(feeds)


def test_limits_are_stored(artifact: Artifact) -> None:
    specs = (TensorSpec("ids", "int64", ("N", "T")),)
    limited = dataclasses.replace(artifact, inputs=specs, limits=LIMITS)
    assert decode(Artifact, encode(limited), "the manifest").limits == LIMITS


@pytest.mark.parametrize("limits", [lambda: InputLimits({"T": 0}), lambda: InputLimits({}, {"ids": -1})])
def test_a_limit_is_positive(limits) -> None:
    with pytest.raises(ValueError, match="below 1"):
        limits()


@pytest.mark.parametrize("name", ["tokens", "image"])  # the artifact's input is an image in float32
def test_a_table_s_input_is_an_integer_one_of_the_model(artifact: Artifact, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}, which is no integer input"):
        dataclasses.replace(artifact, limits=InputLimits({}, {name: 9}))
