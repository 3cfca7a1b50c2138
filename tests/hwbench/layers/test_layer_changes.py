"""What changed between profiles of two models, and how it is told."""

from __future__ import annotations

import numpy as np
import pytest

from hwbench.layers.change_wording import cause, lines
from hwbench.layers.layer_changes import compare
from runtimes.profilers import NodeTime, PlacedNode, Placement, Profile

ROUNDS = 16


def profiles(times: dict[str, float], seed: int, elsewhere: tuple[PlacedNode, ...] = ()) -> list[Profile]:
    """Profiles of nodes that are named by their operators, with noise of 2%."""
    rng = np.random.default_rng(seed)
    kinds = {"Conv": "float product", "Cast": "conversion"}

    def one() -> Profile:
        nodes = [NodeTime(op, op, kinds.get(op, "other"), us * rng.normal(1, 0.02)) for op, us in times.items()]
        return Profile(tuple(nodes), Placement(len(times), elsewhere))

    return [one() for _ in range(ROUNDS)]


BEFORE = {"Conv": 50.0, "Relu": 5.0, "Pool": 9.0}


def test_the_layer_that_took_longer_is_named_with_its_interval():
    changes = compare(profiles(BEFORE, 0), profiles({**BEFORE, "Conv": 80.0}, 1))
    (moved,) = changes.moved
    assert (moved.layer, moved.op) == ("Conv", "Conv")
    assert moved.change_us.low < 30 < moved.change_us.high
    assert (changes.layers, changes.rounds) == (3, ROUNDS)
    assert changes.total_us.value == pytest.approx(30, rel=0.1)
    assert cause(changes).startswith("slower: Conv (Conv) by ")


def test_new_and_vanished_nodes_conversions_and_fallbacks_are_told():
    after = {"Cast": 12.0, "Conv": 50.0, "Pool": 9.0}
    fallback = (PlacedNode("Pool", "Pool", "CPUExecutionProvider"),)
    changes = compare(profiles(BEFORE, 0), profiles(after, 1, fallback))
    assert [(each.layer, each.before_us is None, each.after_us is None) for each in changes.moved] == [
        ("Cast", True, False),
        ("Relu", False, True),
    ]
    assert changes.conversions == {"Cast": 1}
    assert changes.fallbacks == ("Pool (CPUExecutionProvider)",)
    told = dict(lines(changes))
    assert told["Cast (Cast)"].startswith("new: +")
    assert told["Relu (Relu)"].startswith("gone: -")
    assert told["conversions"] == "1 more Cast"
    assert "Pool (CPUExecutionProvider)" in told["fallbacks"]


def test_equal_models_name_no_layer():
    changes = compare(profiles(BEFORE, 0), profiles(BEFORE, 1))
    assert changes.moved == ()
    assert cause(changes) == ""
    assert "outside the nodes" in dict(lines(changes))["compared"]
