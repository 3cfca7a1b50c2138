"""Bring what subgraphs compute up to the main graph, where it can be watched.

An `If` hands out what one branch computes, and an empty tensor for it where the other is taken. A `Loop` carries a list
that grows by each iteration, since shapes may change between iterations; a `Scan` stacks, since its shapes may not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx_ir as ir

from toolchain.graphs.edits import Edits

_Held = Mapping[str, ir.Value]


def surface(edits: Edits, names: Collection[str]) -> dict[str, ir.Value]:
    """Give tensors of subgraphs as values of the main graph; the graph grows outputs of its control flow.

    Args:
        edits: of the graph to change.
        names: of float32 tensors, wherever they are.

    Returns:
        By name, float32 [n]: all that the tensor held in one inference, an empty one where nothing computed it. Names
        that no `If`, `Loop` or `Scan` holds are missing.
    """
    return _Surfacing(edits, frozenset(names)).below(edits.graph)


class _Surfacing:
    def __init__(self, edits: Edits, names: frozenset[str]) -> None:
        self.edits, self.names = edits, names
        self.all = edits.constant("all", np.array([-1], np.int64))
        self.empty = edits.constant("empty", np.zeros(0, np.float32))

    def below(self, graph: ir.Graph) -> dict[str, ir.Value]:
        """What the subgraphs of a graph hold, as values of that graph."""
        found: dict[str, ir.Value] = {}
        for node in list(graph):
            bodies = [a.as_graph() for a in node.attributes.values() if a.type == ir.AttributeType.GRAPH]
            lift = {"If": self._out_of_if, "Loop": self._out_of_loop, "Scan": self._out_of_scan}.get(node.op_type)
            if lift is not None and not node.domain:
                held = [self._held(body) for body in bodies]
                if any(held):
                    found.update(lift(node, bodies, held))
        return found

    def _held(self, body: ir.Graph) -> dict[str, ir.Value]:
        deeper = self.below(body)  # first, since it renames what loops write
        own = [*body.inputs, *(value for node in body for value in node.outputs)]
        return {str(v.name): self._flat(body, v) for v in own if v.name in self.names} | deeper

    def _out_of_if(self, node: ir.Node, bodies: list[ir.Graph], held: list[dict[str, ir.Value]]) -> _Held:
        names = dict.fromkeys(name for values in held for name in values)
        for body, values in zip(bodies, held):
            for name in names:
                body.outputs.append(values[name] if name in values else self._add(body, "Identity", self.empty))
        return dict(zip(names, self._grown(node, len(names))))

    def _out_of_loop(self, node: ir.Node, bodies: list[ir.Graph], held: list[dict[str, ir.Value]]) -> _Held:
        (body,), (values,) = bodies, held
        carried, n = len(node.inputs) - 2, len(values)
        for index, value in enumerate(values.values(), start=carried):
            before = ir.Value(
                name=self.edits.fresh(f"{value.name}.before"), type=self.empty.type, shape=ir.Shape([None])
            )
            body.inputs.append(before)
            body.outputs.insert(1 + index, self._add(body, "Concat", before, value, axis=0))
        node.resize_inputs(len(node.inputs) + n)
        for index in range(n):
            node.replace_input_with(2 + carried + index, self.empty)
        # What the loop carries stands before what it stacks, so all that is stacked moves on by n.
        stacked = node.outputs[carried:]
        self._grown(node, n)
        for old, new in reversed(list(zip(stacked, node.outputs[carried + n :]))):
            old.replace_all_uses_with(new, replace_graph_outputs=True)
            old.name, new.name, new.type, new.shape = new.name, old.name, old.type, old.shape
        lifted = node.outputs[carried : carried + n]
        for value in lifted:
            _declare_flat(value)
        return dict(zip(values, lifted))

    def _out_of_scan(self, node: ir.Node, bodies: list[ir.Graph], held: list[dict[str, ir.Value]]) -> _Held:
        (body,), (values,) = bodies, held
        body.outputs.extend(values.values())
        for name in ("scan_output_axes", "scan_output_directions"):
            if name in node.attributes:
                listed = node.attributes[name].as_ints()
                node.attributes.add(ir.AttrInt64s(name, [*listed, *[0] * len(values)]))
        graph = node.graph
        assert isinstance(graph, ir.Graph)
        stacked = self._grown(node, len(values))
        return {name: self._flat(graph, value) for name, value in zip(values, stacked)}

    def _grown(self, node: ir.Node, n: int) -> list[ir.Value]:
        """New outputs at a node's end."""
        before = len(node.outputs)
        node.resize_outputs(before + n)
        for value in node.outputs[before:]:
            value.name = self.edits.fresh(f"{node.name}.held")
            _declare_flat(value)
        return list(node.outputs[before:])

    def _flat(self, graph: ir.Graph, value: ir.Value) -> ir.Value:
        return self._add(graph, "Reshape", value, self.all)

    def _add(self, graph: ir.Graph, op: str, *inputs: ir.Value, **attributes: int) -> ir.Value:
        output = self.edits.append(op, *inputs, graph=graph, **attributes)
        _declare_flat(output)
        return output


def _declare_flat(value: ir.Value) -> None:
    """Say that a value is float32 [n]."""
    value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape([None])
