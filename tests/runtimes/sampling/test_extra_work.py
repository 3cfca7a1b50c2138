"""Extra work: it comes after the inference, and leaves its outputs alone."""

from __future__ import annotations

import numpy as np
import pytest

from runtimes.errors import UsageError
from runtimes.sampling.closed_loop import SamplingPlan
from runtimes.sampling.extra_work import with_products


def call(feeds):
    return {"y": feeds["x"] + 1}


def test_without_products_the_call_is_the_same_function():
    assert with_products(call, 0) is call


def test_products_change_no_output(monkeypatch):
    products = []
    matmul = np.matmul
    monkeypatch.setattr(np, "matmul", lambda *arguments, out: products.append(matmul(*arguments, out=out)))
    feeds = {"x": np.arange(3)}
    np.testing.assert_array_equal(with_products(call, 7)(feeds)["y"], call(feeds)["y"])
    assert len(products) == 7
    assert all(np.isfinite(product).all() for product in products)


def test_a_plan_refuses_a_negative_number_of_products():
    with pytest.raises(UsageError, match="extra_products"):
        SamplingPlan(extra_products=-1)
