"""Empty dimensions: an answer where all outputs are empty, a refusal where they are not; empty states are run."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from served import demanding_bundle

import runtimes
from runtimes.backends import null
from runtimes.bundles.input_limits import InputLimits
from runtimes.bundles.manifest import Artifact
from runtimes.errors import FeedError
from runtimes.profile import HardwareProfile
from runtimes.tensors import Array, Feeds, TensorSpec


def test_an_empty_batch_is_answered_without_the_runtime(bundle, monkeypatch) -> None:
    with runtimes.load(bundle) as session:
        monkeypatch.setattr(session, "_infer", lambda feeds: pytest.fail("the runtime was asked"))
        feeds = {"image": np.zeros((0, 3, 8, 8), np.float32)}
        scores = session.run(feeds)["scores"]
        assert (scores.shape, scores.dtype) == ((0, 5), np.float32)
        out = {"scores": np.zeros((0, 5), np.float32)}
        assert session.run(feeds, out)["scores"] is out["scores"]
        with pytest.raises(FeedError, match=r"has shape \[0, 5\]; the array for it has \[1, 5\]"):
            session.run(feeds, {"scores": np.zeros((1, 5), np.float32)})
        assert session.stats().calls == 3


def test_what_onnx_runtime_would_die_of_is_refused(here: HardwareProfile, tmp_path) -> None:
    """An LSTM over an empty batch, in a model of which another output has values."""
    with runtimes.load(demanding_bundle(tmp_path, here)) as session:
        rounds = np.ones(1, np.int64)
        with pytest.raises(FeedError, match="Dimension N is 0, and the outputs are not empty then"):
            session.run({"x": np.zeros((2, 0, 7), np.float32), "rounds": rounds})
        assert session.run({"x": np.zeros((2, 1, 7), np.float32), "rounds": rounds})["count"] == 1


@pytest.mark.parametrize(("n", "asked"), [(1, True), (0, False)])
@pytest.mark.parametrize(
    "kept", [{"states": {"past": "present"}}, {"limits": InputLimits(may_be_empty=("P",))}], ids=("state", "input")
)
def test_an_empty_cache_is_computed(artifact: Artifact, kept: dict[str, Any], n: int, asked: bool, monkeypatch) -> None:
    """A cache that the session keeps, or one that the caller feeds and that was empty in a sample of the build."""
    inputs = (TensorSpec("token", "int64", ("N",)), TensorSpec("past", "float32", ("N", "P")))
    outputs = (TensorSpec("y", "float32", ("N",)), TensorSpec("present", "float32", ("N", "Q")))
    decoder = dataclasses.replace(artifact, runtime="null", inputs=inputs, outputs=outputs, **kept)
    session = null.load(decoder, b"")
    seen: list[Feeds] = []

    def infer(feeds: Feeds) -> dict[str, Array]:
        seen.append(feeds)
        return {"y": np.zeros(n, np.float32), "present": np.zeros((n, 1), np.float32)}

    monkeypatch.setattr(session, "_infer", infer)
    feeds = {"token": np.zeros(n, np.int64), "past": np.zeros((n, 0), np.float32)}
    if asked:
        session.run(feeds)
    else:  # the size of Q is not known
        with pytest.raises(FeedError, match="Dimension N is 0"):
            session.run(feeds)
    assert bool(seen) is asked
