"""Repair of a variant that ONNX Runtime refuses: make it again, with the failing nodes in the source's precision."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import onnx_ir as ir

from runtimes.errors import BackendError
from runtimes.tensors import Array
from toolchain.models.load_check import find_failing_node, find_failure
from toolchain.models.onnx_model import OnnxModel, load_ir

_MAX_TRIES = 4  # each loads and runs the model in a process of its own, which takes time

Make = Callable[[tuple[str, ...]], OnnxModel]


def make_runnable(
    make: Make, source: Path, names: Collection[str], feeds: Mapping[str, Array], *, as_written: bool = False
) -> OnnxModel:
    """Make a variant, run it in a child process, and make it again with more nodes kept until it runs.

    Args:
        make: writes the variant, given the names of nodes to keep in the source's precision.
        source: the file that it is made from. If the source itself fails on the feeds, the variant passes unchecked.
        names: names of the nodes that the variant changes.
        feeds: one inference's inputs.
        as_written: True for a variant that is for another runtime, to leave out ONNX Runtime's optimisations.

    Returns:
        The variant; its `kept` names the nodes that stayed in the source's precision.

    Raises:
        BackendError: ONNX Runtime does not run the variant after four tries; the message gives its reason and the node.
    """
    kept: tuple[str, ...] = ()
    blamed: list[str | None] = []
    for _ in range(_MAX_TRIES):
        made = make(kept)
        reason = find_failure(made.path, feeds, as_written=as_written)
        if reason is None or (not kept and find_failure(source, feeds) is not None):
            return dataclasses.replace(made, kept=kept)
        node = find_failing_node(made.path, feeds, reason, as_written=as_written)
        more = _nearest(load_ir(made.path), node, set(names) - set(kept))
        made.path.unlink()
        if not more or node in blamed:  # the nodes around it were kept already, without success
            break
        kept, blamed = (*kept, *more), [*blamed, node]
    where = f" at the node '{node}'" if node else ""
    raise BackendError(f"ONNX Runtime cannot run the quantized model{where}: {reason}")


def _nearest(model: ir.Model, name: str | None, wanted: Collection[str]) -> tuple[str, ...]:
    """Find the wanted nodes that are the fewest steps from a node; the node itself, if it is wanted."""
    front = [node for node in model.graph.all_nodes() if node.name == name]
    seen = set(front)
    while front:
        found = tuple(str(node.name) for node in front if node.name in wanted)
        if found:
            return found
        front = [other for node in front for other in _neighbours(node) if other not in seen]
        front = list(dict.fromkeys(front))
        seen.update(front)
    return ()


def _neighbours(node: ir.Node) -> list[ir.Node]:
    before = [producer for value in node.inputs if value is not None and (producer := value.producer()) is not None]
    return before + [use.node for value in node.outputs for use in value.uses()]
