"""GRU as a Scan over its steps, whose two products are MatMuls that become integer ones like any other.

No runtime has an integer GRU. With integer products, the Scan took 0.91 of the time of ONNX Runtime's GRU with 256
units, 0.56 with 400 and 0.48 with 512, but 2.1 times as long with 128 (benchmarks/results/gru.txt). MatMulNBits with
eight bits for the state's product takes 0.84, 0.58 and 0.51, with the same error.

The product with the inputs of all steps comes before the Scan, that with the state is in its body:

    [z, r] = Sigmoid(W_zr x + R_zr h + b_zr),  c = Tanh(W_h x + b_h + r * (R_h h + d_h)),  h = c + z * (h - c)
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from runtimes.tensors import Array
from toolchain.graphs.edits import Edits, array_of, is_constant

_MIN_UNITS = 256
_DIRECTIONS = {"forward": (0,), "reverse": (1,), "bidirectional": (0, 1)}


def expand_grus(model: ir.Model, keep: Collection[str]) -> int:
    """Rewrite every GRU with constant weights for which an integer product pays.

    Args:
        model: the prepared float model; changed in place.
        keep: names of nodes that stay as they are.

    Returns:
        The number of rewritten GRUs.
    """
    edits = Edits(model.graph)
    selected = [node for node in model.graph.all_nodes() if node.name not in keep and _is_supported(node)]
    for node in selected:
        _expand(edits, node)
    RemoveUnusedNodesPass()(model)
    return len(selected)


def _is_supported(node: ir.Node) -> bool:
    if node.op_type != "GRU" or node.domain or node.attributes.get_int("linear_before_reset", 0) == 0:
        return False
    if any(name in node.attributes for name in ("activations", "clip")) or node.attributes.get_int("layout", 0) == 1:
        return False
    source, w, r, b, lengths = (_input(node, index) for index in range(5))
    if not all(is_constant(value) and value.dtype == ir.DataType.FLOAT for value in (w, r) if value is not None):
        return False
    if source is None or (b is not None and not is_constant(b)) or lengths is not None:
        return False
    is_one_step = source.shape is not None and source.shape[0] == 1  # starting the Scan takes longer than it saves
    return array_of(r).shape[2] >= _MIN_UNITS and not is_one_step


def _expand(edits: Edits, node: ir.Node) -> None:
    """Replace a GRU by a Scan per direction, and join their states and last states."""
    source, b, initial = node.inputs[0], _input(node, 3), _input(node, 5)
    assert source is not None
    w, r = array_of(node.inputs[1]), array_of(node.inputs[2])
    biases = array_of(b) if b is not None else np.zeros((len(r), 2 * r.shape[1]), np.float32)
    nodes: list[ir.Node] = []
    states, last = [], []
    for place, backward in enumerate(_DIRECTIONS[node.attributes.get_string("direction", "forward")]):
        direction = _Direction(edits, nodes, str(node.name), backward)
        start = direction.initial(initial, place, source, r.shape[2])
        of_input = direction.projected(source, w[place], biases[place])
        ended, stacked = direction.scan(start, of_input, r[place], biases[place])
        states.append(direction.add("Unsqueeze", stacked, edits.constant("axis", np.array([1]))))
        last.append(direction.add("Unsqueeze", ended, edits.constant("axis", np.array([0]))))
    for axis, old, parts in zip((1, 0), node.outputs, (states, last)):
        if not old.name:  # an output that the node leaves out
            continue
        new = parts[0]
        if len(parts) > 1:
            nodes.append(edits.node("Concat", parts, f"{node.name}.both", attributes={"axis": axis}))
            new = nodes[-1].outputs[0]
        new.type, new.shape = ir.TensorType(ir.DataType.FLOAT), old.shape
        old.replace_all_uses_with(new, replace_graph_outputs=True)
        old.name, new.name = new.name, old.name
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    graph.insert_before(node, nodes)
    graph.remove(node, safe=True)


class _Direction:
    """Nodes of one direction of a GRU, which it appends to a list."""

    def __init__(self, edits: Edits, nodes: list[ir.Node], name: str, backward: int) -> None:
        self._edits, self._nodes, self._name, self._backward = edits, nodes, name, backward

    def add(self, op: str, *inputs: ir.Value, **attributes: int) -> ir.Value:
        """Add a node with one float output."""
        return _add(self._edits, self._nodes, f"{self._name}.{op}", op, *inputs, **attributes)

    def initial(self, given: ir.Value | None, place: int, source: ir.Value, units: int) -> ir.Value:
        """Take the state before the first step, [batch, units]: zeros, if none is given."""
        edits = self._edits
        if given is not None:
            index = edits.constant(f"{self._name}.place", np.array(place))
            return self.add("Gather", given, index, axis=0)
        shape = edits.node("Shape", [source], f"{self._name}.shape")
        batch = edits.node("Gather", [shape.outputs[0], edits.constant("one", np.array([1]))], f"{self._name}.batch")
        width = edits.constant(f"{self._name}.units", np.array([units]))
        sizes = edits.node("Concat", [batch.outputs[0], width], f"{self._name}.sizes", attributes={"axis": 0})
        self._nodes += [shape, batch, sizes]
        return self.add("Expand", edits.constant("zero", np.zeros((1, 1), np.float32)), sizes.outputs[0])

    def projected(self, source: ir.Value, w: Array, biases: Array) -> ir.Value:
        """Multiply the inputs of all steps, with the biases outside the reset gate: [steps, batch, 3 * units]."""
        own, recurrent = np.split(biases, 2)
        units = len(own) // 3
        bias = own + np.concatenate([recurrent[: 2 * units], np.zeros(units, np.float32)])
        product = self.add("MatMul", source, self._constant("w", w.T))
        return self.add("Add", product, self._constant("b", bias))

    def scan(self, initial: ir.Value, of_input: ir.Value, r: Array, biases: Array) -> tuple[ir.Value, ir.Value]:
        """Run the steps; return the last state and all states, [steps, batch, units]."""
        edits, units = self._edits, r.shape[1]
        given = _split(edits, self._nodes, of_input, self._sizes(2 * units, units), f"{self._name}.of_input")
        h, x_gates, x_candidate = (
            ir.Value(name=edits.fresh(f"{self._name}.{hint}"), type=ir.TensorType(ir.DataType.FLOAT))
            for hint in ("h", "x_gates", "x_candidate")
        )
        body = ir.Graph([h, x_gates, x_candidate], [], nodes=(), name=f"{self._name}.step")

        def add(op: str, *inputs: ir.Value) -> ir.Value:
            return _add(edits, body, f"{self._name}.step.{op}", op, *inputs)

        # The body owns its weights, since ONNX Runtime packs those alone for its kernels.
        bias = np.concatenate([np.zeros(2 * units, np.float32), biases[-units:]])
        product = add("MatMul", h, self._constant("r", r.T, body))
        product = add("Add", product, self._constant("d", bias, body))
        h_gates, h_candidate = _split(edits, body, product, self._sizes(2 * units, units), f"{self._name}.of_state")
        gates = add("Sigmoid", add("Add", h_gates, x_gates))
        update, reset = _split(edits, body, gates, self._sizes(units, units), f"{self._name}.gates")
        candidate = add("Tanh", add("Add", add("Mul", reset, h_candidate), x_candidate))
        new = add("Add", candidate, add("Mul", update, add("Sub", h, candidate)))
        body.outputs.extend([new, add("Identity", new)])
        node = ir.node("Scan", [initial, *given], num_outputs=2, name=edits.fresh(f"{self._name}.scan"))
        node.attributes.add(ir.AttrGraph("body", body))
        node.attributes.add(ir.AttrInt64("num_scan_inputs", 2))
        node.attributes.add(ir.AttrInt64s("scan_input_directions", [self._backward] * 2))
        node.attributes.add(ir.AttrInt64s("scan_output_directions", [self._backward]))
        for value, hint in zip(node.outputs, ("last", "states")):
            value.name, value.type = edits.fresh(f"{self._name}.{hint}"), ir.TensorType(ir.DataType.FLOAT)
        self._nodes.append(node)
        return node.outputs[0], node.outputs[1]

    def _sizes(self, *sizes: int) -> ir.Value:
        return self._edits.constant(f"{self._name}.sizes", np.array(sizes))

    def _constant(self, hint: str, array: Array, graph: ir.Graph | None = None) -> ir.Value:
        return self._edits.constant(f"{self._name}.{hint}", np.ascontiguousarray(array), graph)


_Nodes = list[ir.Node] | ir.Graph
"""What nodes are appended to."""


def _add(edits: Edits, nodes: _Nodes, hint: str, op: str, *inputs: ir.Value, **attributes: int) -> ir.Value:
    node = edits.node(op, inputs, hint, attributes=attributes)
    node.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
    nodes.append(node)
    return node.outputs[0]


def _split(edits: Edits, nodes: _Nodes, value: ir.Value, sizes: ir.Value, hint: str) -> Sequence[ir.Value]:
    node = edits.node("Split", [value, sizes], f"{hint}.0", f"{hint}.1", attributes={"axis": -1})
    for output in node.outputs:
        output.type = ir.TensorType(ir.DataType.FLOAT)
    nodes.append(node)
    return node.outputs


def _input(node: ir.Node, index: int) -> ir.Value | None:
    return node.inputs[index] if index < len(node.inputs) else None
