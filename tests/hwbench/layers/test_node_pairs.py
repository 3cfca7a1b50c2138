"""Nodes of two models are paired by order and likeness, although exporters number them anew."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hwbench.layers.node_pairs import pair
from runtimes.profilers import NodeTime


def nodes(*ops: str) -> list[NodeTime]:
    """Nodes that are numbered by their place, as exporters number them."""
    kinds = {"Conv": "float product", "QLinearConv": "integer product", "Cast": "conversion"}
    return [NodeTime(f"{op}_{n}", op, kinds.get(op, "other"), 1.0) for n, op in enumerate(ops)]


def names(pairs) -> list[tuple[str | None, str | None]]:
    return [(old and old.node, new and new.node) for old, new in pairs]


def test_an_inserted_node_is_new_although_all_later_names_changed():
    before, after = nodes("Conv", "Relu", "Conv", "Relu"), nodes("Conv", "Relu", "Transpose", "Conv", "Relu")
    assert names(pair(before, after)) == [
        ("Conv_0", "Conv_0"),
        ("Relu_1", "Relu_1"),
        (None, "Transpose_2"),
        ("Conv_2", "Conv_3"),
        ("Relu_3", "Relu_4"),
    ]


def test_a_removed_node_is_gone():
    before, after = nodes("Conv", "Cast", "Conv"), nodes("Conv", "Conv")
    assert names(pair(before, after)) == [("Conv_0", "Conv_0"), ("Cast_1", None), ("Conv_2", "Conv_1")]


def test_products_are_paired_in_order_when_nothing_else_is_alike():
    before, after = nodes("Conv", "Relu", "Conv"), nodes("Cast", "QLinearConv", "QLinearConv")
    paired = [both for both in names(pair(before, after)) if None not in both]
    assert paired == [("Conv_0", "QLinearConv_1"), ("Conv_2", "QLinearConv_2")]


@given(st.lists(st.sampled_from(["Conv", "Relu", "Cast"]), max_size=8), st.data())
def test_every_node_is_in_exactly_one_pair_and_in_order(ops, data):
    before = nodes(*ops)
    after = nodes(*data.draw(st.permutations(ops)))
    pairs = pair(before, after)
    assert [old for old, _ in pairs if old is not None] == before
    assert [new for _, new in pairs if new is not None] == after
    assert pair(before, before) == list(zip(before, before))
