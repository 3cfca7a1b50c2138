"""Stand-ins for child processes: this process runs what they would, since starting them takes longer than tiny models.

An interpreter, NumPy and ONNX Runtime take 0.15 s of CPU before a child does anything, and a build starts dozens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnxruntime as ort
import pytest

import runtimes.__main__ as device
from runtimes.errors import BackendError, EdgewrightError, one_line
from runtimes.tensors import Array


def install(patch: pytest.MonkeyPatch) -> None:
    """Let `LocalTarget`, the load check and the profiler of nodes start no process."""
    patch.setattr("hwbench.targets.local.run_module", _on_device)
    patch.setattr("toolchain.models.repair.find_failure", _find_failure)


def _on_device(module: str, arguments: Sequence[str], folder: Path, limit_s: float) -> None:
    assert module == "runtimes"
    options = device._parser().parse_args(arguments)
    try:
        options.command(options)
    except EdgewrightError as error:
        raise BackendError(one_line(str(error))) from None


def _find_failure(
    file: Path, feeds: Mapping[str, Array], limit_s: float = 0, *, as_written: bool = False
) -> str | None:
    options = ort.SessionOptions()
    if as_written:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        ort.InferenceSession(file, options, providers=["CPUExecutionProvider"]).run(None, dict(feeds))
    except Exception as error:
        return None if "NOT_IMPLEMENTED" in str(error) else " ".join(str(error).split())
    return None
