"""Whether ONNX Runtime loads and runs a file, found out in a child process, and which node is to blame if not."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx_ir as ir

from runtimes.errors import BackendError
from runtimes.tensors import Array
from toolchain.graphs.edits import drop_unused_initializers
from toolchain.models.onnx_model import OnnxModel, load_ir, save_ir

LIMIT_S = 600.0
_PART_LIMIT_S = 30.0  # of a part of a model, on one sample

# How ONNX Runtime and onnx's shape inference name the node in their errors.
_NAMED = re.compile(r"[Nn]ode \(([^()]+)\)|[Nn]ode with name '([^']+)'|Name:'([^']+)'|node:? ?'([^']+)'")


def check(model: OnnxModel, feeds: Mapping[str, Array], limit_s: float = LIMIT_S) -> None:
    """Load a file and run it once.

    Args:
        model: the file.
        feeds: one inference's inputs, by name.
        limit_s: how long it may take.

    Raises:
        BackendError: ONNX Runtime refused the file, crashed or hung on it; names the node where one can be found.
    """
    reason = failure(model.path, feeds, limit_s)
    if reason is not None:
        node = culprit(model.path, feeds, reason)
        raise BackendError(
            f"ONNX Runtime cannot run '{model.path.name}'{f' at the node {node!r}' * bool(node)}: {reason}"
        )


def failure(file: Path, feeds: Mapping[str, Array], limit_s: float = LIMIT_S) -> str | None:
    """What happens to a process that loads a file and runs it once, if it does not end well."""
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        np.savez(Path(folder, "feeds.npz"), **feeds)  # type: ignore[arg-type]  # names are not np.savez's own
        command = [sys.executable, "-m", "toolchain.models.run_once", str(file.absolute()), "feeds.npz"]
        try:
            done = subprocess.run(
                command,
                cwd=folder,  # `python -m` would import what lies in the user's
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
    # A type that the CPU provider has no kernel for (bf16) is not the file's fault: other runtimes have it.
    return reason if done.returncode and "NOT_IMPLEMENTED" not in reason else None


def culprit(file: Path, feeds: Mapping[str, Array], reason: str) -> str | None:
    """The node that a failure is about: the one it names, or the last of the shortest part that fails, too."""
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
            if failure(part.path, fed, _PART_LIMIT_S) is None:
                good = middle
            else:
                bad = middle
    return str(nodes[bad - 1].name) if nodes else None


def _part(model: ir.Model, length: int) -> ir.Model:
    """The first nodes of a model; what none of them reads any further is its outputs."""
    part = model.clone()
    nodes = list(part.graph)
    part.graph.outputs.clear()
    for node in reversed(nodes[length:]):
        part.graph.remove(node, safe=True)
    for node in nodes[:length]:
        part.graph.outputs.extend(value for value in node.outputs if value.name and not value.uses())
    drop_unused_initializers(part.graph)
    return part
