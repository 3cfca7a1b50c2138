"""Load check: one run of a file with ONNX Runtime in a child process, and a search for the node that makes it fail."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from runtimes import npz
from runtimes.processes.parent_death import child_environment
from runtimes.tensors import Array
from toolchain.models.onnx_model import load_ir, save_ir

LIMIT_S = 600.0
"""Longest time of one load and run, in seconds; a file that takes longer counts as hung."""

_PART_LIMIT_S = 30.0  # for a part of a model, of which bisection runs several

# Errors of ONNX Runtime, and of onnx's shape inference, name the node in these ways.
_NAMED = re.compile(r"[Nn]ode \(([^()]+)\)|[Nn]ode with name '([^']+)'|Name:'([^']+)'|node:? ?'([^']+)'")


def find_failure(
    file: Path, feeds: Mapping[str, Array], limit_s: float = LIMIT_S, *, as_written: bool = False
) -> str | None:
    """Load a file in a child process and run it once.

    Args:
        file: the ONNX file.
        feeds: one inference's inputs, by name.
        limit_s: the longest time that it may take, in seconds.
        as_written: True for a file that is for another runtime, to leave out ONNX Runtime's optimisations.

    Returns:
        None if it runs; else the reason: ONNX Runtime's message, a crash's signal, or that it hung.
    """
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        npz.write(Path(folder, "feeds.npz"), feeds)
        command = [sys.executable, "-m", "toolchain.models.run_once", str(file.absolute()), "feeds.npz"]
        command += ["as-written"] if as_written else []
        try:
            done = subprocess.run(
                command,
                cwd=folder,  # in the user's folder, `python -m` would import the user's modules
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=limit_s,
            )
        except subprocess.TimeoutExpired:
            return f"it hung: no answer in {limit_s:g} s"
    if done.returncode < 0:
        return f"it crashed with {signal.Signals(-done.returncode).name}"
    reason = " ".join(done.stderr.split())[:500]
    # The CPU provider has no kernels for some types (bf16) that other runtimes support, so the file is valid.
    return reason if done.returncode and "NOT_IMPLEMENTED" not in reason else None


def find_failing_node(file: Path, feeds: Mapping[str, Array], reason: str, *, as_written: bool = False) -> str | None:
    """Find the node that causes a failure: the one that the reason names, or the last of the shortest failing part.

    Args:
        file: the file that fails.
        feeds: the inputs that it fails on.
        reason: the result of `find_failure`.
        as_written: as for `find_failure`.

    Returns:
        The node's name; None if the graph is empty.
    """
    model = load_ir(file)
    names = {str(node.name) for node in model.graph.all_nodes()}
    for match in _NAMED.finditer(reason):
        name = next(group for group in match.groups() if group)
        if name in names:
            return name
    nodes = list(model.graph)
    good, bad = 0, len(nodes)
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        while bad - good > 1:
            middle = (good + bad) // 2
            part = save_ir(_part(model, middle), Path(folder, "part.onnx"))
            fed = {name: array for name, array in feeds.items() if name in {spec.name for spec in part.inputs}}
            if find_failure(part.path, fed, _PART_LIMIT_S, as_written=as_written) is None:
                good = middle
            else:
                bad = middle
    return str(nodes[bad - 1].name) if nodes else None


def _part(model: ir.Model, length: int) -> ir.Model:
    """Cut a model after its first nodes; values that no node reads become the outputs."""
    part = model.clone()
    nodes = list(part.graph)
    part.graph.outputs.clear()
    for node in reversed(nodes[length:]):
        part.graph.remove(node, safe=True)
    for node in nodes[:length]:
        part.graph.outputs.extend(value for value in node.outputs if value.name and not value.uses())
    return RemoveUnusedNodesPass()(part).model
