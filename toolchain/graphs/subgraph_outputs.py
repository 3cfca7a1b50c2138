"""Export of subgraphs' tensors to the main graph, where they can be observed.

An `If` outputs the tensor of the branch that runs, and an empty tensor for the other branch. A `Loop` concatenates the
tensors of its iterations, since shapes may change between iterations; a `Scan` stacks them, since its shapes may not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx_ir as ir

from toolchain.graphs.edits import Edits

_Values = Mapping[str, ir.Value]


def expose_subgraph_tensors(edits: Edits, names: Collection[str]) -> dict[str, ir.Value]:
    """Make tensors of subgraphs values of the main graph, as new outputs of its control flow operators.

    Args:
        edits: edits of the main graph, which is changed.
        names: names of float32 tensors anywhere in the graph.

    Returns:
        By name, float32 [n]: all values that the tensor held in one inference, none if nothing computed it. Names
        that no `If`, `Loop` or `Scan` holds are missing.
    """
    return _Exposer(edits, frozenset(names)).export_below(edits.graph)


class _Exposer:
    """Exporter of the named tensors, from the innermost subgraph outwards."""

    def __init__(self, edits: Edits, names: frozenset[str]) -> None:
        self.edits, self.names = edits, names
        self.all = edits.constant("all", np.array([-1], np.int64))
        self.empty = edits.constant("empty", np.zeros(0, np.float32))

    def export_below(self, graph: ir.Graph) -> dict[str, ir.Value]:
        """Export the tensors of a graph's subgraphs to that graph."""
        found: dict[str, ir.Value] = {}
        for node in list(graph):
            bodies = [a.as_graph() for a in node.attributes.values() if a.type == ir.AttributeType.GRAPH]
            rules = {"If": self._export_from_if, "Loop": self._export_from_loop, "Scan": self._export_from_scan}
            export = rules.get(node.op_type)
            if export is not None and not node.domain:
                tensors = [self._collect(body) for body in bodies]
                if any(tensors):
                    found.update(export(node, bodies, tensors))
        return found

    def _collect(self, body: ir.Graph) -> dict[str, ir.Value]:
        deeper = self.export_below(body)  # first, since it renames the outputs of loops
        own = [*body.inputs, *(value for node in body for value in node.outputs)]
        return {str(v.name): self._flat(body, v) for v in own if v.name in self.names} | deeper

    def _export_from_if(self, node: ir.Node, bodies: list[ir.Graph], tensors: list[dict[str, ir.Value]]) -> _Values:
        names = dict.fromkeys(name for values in tensors for name in values)
        for body, values in zip(bodies, tensors):
            for name in names:
                body.outputs.append(values[name] if name in values else self._add(body, "Identity", self.empty))
        return dict(zip(names, self._add_outputs(node, len(names))))

    def _export_from_loop(self, node: ir.Node, bodies: list[ir.Graph], tensors: list[dict[str, ir.Value]]) -> _Values:
        (body,), (values,) = bodies, tensors
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
        # A Loop lists carried outputs before stacked ones, so the stacked outputs move on by n.
        stacked = node.outputs[carried:]
        self._add_outputs(node, n)
        for old, new in reversed(list(zip(stacked, node.outputs[carried + n :]))):
            old.replace_all_uses_with(new, replace_graph_outputs=True)
            old.name, new.name, new.type, new.shape = new.name, old.name, old.type, old.shape
        exported = node.outputs[carried : carried + n]
        for value in exported:
            _declare_flat(value)
        return dict(zip(values, exported))

    def _export_from_scan(self, node: ir.Node, bodies: list[ir.Graph], tensors: list[dict[str, ir.Value]]) -> _Values:
        (body,), (values,) = bodies, tensors
        body.outputs.extend(values.values())
        for name in ("scan_output_axes", "scan_output_directions"):
            if name in node.attributes:
                listed = node.attributes[name].as_ints()
                node.attributes.add(ir.AttrInt64s(name, [*listed, *[0] * len(values)]))
        graph = node.graph
        assert isinstance(graph, ir.Graph)
        stacked = self._add_outputs(node, len(values))
        return {name: self._flat(graph, value) for name, value in zip(values, stacked)}

    def _add_outputs(self, node: ir.Node, n: int) -> list[ir.Value]:
        """Add outputs at the end of a node's list."""
        before = len(node.outputs)
        node.resize_outputs(before + n)
        for value in node.outputs[before:]:
            value.name = self.edits.fresh(f"{node.name}.exported")
            _declare_flat(value)
        return list(node.outputs[before:])

    def _flat(self, graph: ir.Graph, value: ir.Value) -> ir.Value:
        return self._add(graph, "Reshape", value, self.all)

    def _add(self, graph: ir.Graph, op: str, *inputs: ir.Value, **attributes: int) -> ir.Value:
        output = self.edits.append(op, *inputs, graph=graph, **attributes)
        _declare_flat(output)
        return output


def _declare_flat(value: ir.Value) -> None:
    """Declare that a value is float32 [n]."""
    value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape([None])
