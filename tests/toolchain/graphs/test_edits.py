"""Edits of a graph: unused names, and constants that are stored once."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from toolchain.graphs.edits import Edits, deduplicate


def edits() -> Edits:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[N] x, bool p) => (float[N] y) <float[1] w = {1}> {
        y = If(p) <
            then_branch = yes () => (float[N] t) { t = Add(x, w) },
            else_branch = no () => (float[N] e) { e = Neg(x) }
        >
    }"""
    return Edits(ir.from_proto(onnx.parser.parse_model(text)).graph)


def test_a_free_name_is_taken_as_it_is_and_then_numbered() -> None:
    made = edits()
    assert [made.fresh("scale") for _ in range(3)] == ["scale", "scale.1", "scale.2"]


def test_inputs_initializers_outputs_and_what_branches_write_are_taken() -> None:
    made = edits()
    assert [made.fresh(name) for name in "xwyte"] == ["x.1", "w.1", "y.1", "t.1", "e.1"]


def test_constants_and_nodes_never_take_the_name_of_another() -> None:
    made = edits()
    constant = made.constant("w", np.zeros(3, np.float32))
    node = made.node("Add", [constant, constant], "w")
    assert (constant.name, node.outputs[0].name, node.name) == ("w.1", "w.2", "w.2")
    assert set(made.graph.initializers) == {"w", "w.1"}


def test_initializers_that_hold_the_same_are_stored_once() -> None:
    made = edits()
    array = np.arange(300, dtype=np.float32)
    late = array.copy()
    late[299] = 7  # at an element that the glance skips
    constants = [made.constant("c", held) for held in (array, array.copy(), late, array.reshape(3, 100), -0.0 * array)]
    readers = [made.append("Neg", constant) for constant in constants]
    model = deduplicate(ir.Model(made.graph, ir_version=8))
    assert {name for name in model.graph.initializers if name.startswith("c")} == {"c", "c.2", "c.3", "c.4"}
    names = [value.name for reader in readers if (node := reader.producer()) for value in node.inputs if value]
    assert names == ["c", "c", "c.2", "c.3", "c.4"]


def test_texts_that_are_the_same_are_stored_once() -> None:
    model = ir.Model(edits().graph, ir_version=8)
    for name, texts in (("one", [b"a", b"b"]), ("other", [b"a", b"b"]), ("third", [b"a", b"c"])):
        tensor = ir.StringTensor(texts, shape=ir.Shape([2]), name=name)
        model.graph.register_initializer(ir.Value(name=name, const_value=tensor))
    assert set(deduplicate(model).graph.initializers) == {"w", "one", "third"}
