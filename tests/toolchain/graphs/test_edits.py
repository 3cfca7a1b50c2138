"""Names that are new, and stay so."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from toolchain.graphs.edits import Edits


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
