"""The limits of a server, and those of bytes that follow from a model's inputs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from runtimes.errors import UsageError
from runtimes.serving.limits import Limits
from runtimes.tensors import TensorSpec

X = TensorSpec("x", "float32", ("N", 100))


def test_a_request_that_a_model_can_need_is_within_its_limits() -> None:
    limits = Limits().for_model([X], {"N": 50})
    values = (-np.random.default_rng(0).random((50, 100)) * 1e-30).astype(np.float32)
    text = json.dumps({"inputs": [{"name": "x", "shape": [50, 100], "data": values.tolist()}]}, indent=1)
    assert len(text) < limits.json_bytes < 2 * len(text) + (64 << 10)
    assert values.nbytes < limits.request_bytes < 1 << 20


def test_sizes_without_a_limit_take_the_server_s() -> None:
    assert Limits().for_model([X], {}) == Limits()
    large = Limits(request_bytes=1000, json_bytes=100).for_model([X], {"N": 10**9})
    assert (large.request_bytes, large.json_bytes) == (1000, 100)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_limits_that_are_none(value: float) -> None:
    with pytest.raises(UsageError, match=r"cannot have the limit idle_s = .*; give a number above 0"):
        Limits(idle_s=value)
