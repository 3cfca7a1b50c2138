"""Runs of a model at several sizes: which are tried, and what is kept of them."""

from __future__ import annotations

import weakref

import numpy as np

from runtimes.tensors import TensorSpec
from toolchain.exporters.checks.run_at_sizes import run_at_sizes
from toolchain.sources import sizes as sizes_module

SPECS = (TensorSpec("x", "float32", ("N", "T")),)
FEED = {"x": np.ones((2, 8), np.float32)}


def test_what_is_seen_of_each_run_is_kept_and_no_array():
    """The arrays of a language model at a dozen sizes are gigabytes."""
    alive: list[weakref.ref] = []
    most = 0

    def call(feed):
        nonlocal most
        output = np.array(feed["x"])
        most = max(most, sum(ref() is not None for ref in alive))
        alive.append(weakref.ref(output))
        return [output]

    runs = run_at_sizes(SPECS, FEED, call, lambda run: (run.changed, run.outputs[0].shape))
    assert runs.seen == (
        ({"N": 2, "T": 8}, ((), (2, 8))),
        ({"N": 3, "T": 8}, (("N",), (3, 8))),
        ({"N": 2, "T": 16}, (("T",), (2, 16))),
        ({"N": 2, "T": 9}, (("T",), (2, 9))),
        ({"N": 3, "T": 16}, (("N", "T"), (3, 16))),
    )
    assert most <= 1


def test_arrays_beyond_the_limit_are_not_made(monkeypatch):
    monkeypatch.setattr(sizes_module, "resized_to", lambda array, shape: check(shape))

    def check(shape):
        assert np.prod(shape, dtype=float) < 1e9
        return np.ones(shape, np.float32)

    runs = run_at_sizes(SPECS, FEED, lambda feed: [feed["x"]], lambda run: None, {"T": [3_000_000_000, 5]})
    assert {"N": 2, "T": 5} in [sizes for sizes, _ in runs.seen]
    assert max(sizes["T"] for sizes, _ in runs.seen) == 16


def test_a_dimension_of_which_no_other_size_is_taken_is_told_with_the_error():
    def call(feed):
        return [feed["x"].reshape(-1, 2, 4)]

    runs = run_at_sizes(SPECS, FEED, call, lambda run: None)
    assert "T" not in runs.fixed

    def fixed(feed):
        return [feed["x"].reshape(len(feed["x"]), 2, 4)]

    runs = run_at_sizes(SPECS, FEED, fixed, lambda run: None)
    assert set(runs.fixed) == {"T"}
    assert "reshape" in str(runs.fixed["T"])
