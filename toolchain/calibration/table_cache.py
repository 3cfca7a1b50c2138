"""Cache of calibration tables, under keys that hold everything that a table depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import onnx_ir as ir

import runtimes
import toolchain
from hwbench.data.dataset import Dataset
from hwbench.progress import say
from runtimes import cache, cpu, samples
from runtimes.cache import Cache

CODE = Path(toolchain.__file__).parent
"""Folder of the code that computes ranges."""

_LIBRARIES = ("onnxruntime", "numpy", "onnx", "onnx-ir", "scipy")


def open_cache() -> Cache:
    """Open the user's cache of tables, whose keys are `dependencies` and whose values are `CalibrationTable`s."""
    return Cache(cache.folder("calibration"), warn=say)


def dependencies(
    graph: ir.Model, method: str, tensors: Sequence[str], data: Dataset, infinities: bool
) -> Mapping[str, object]:
    """List everything that a table depends on.

    The graph, weights included, is the one that samples run through. So its digest covers the model's bytes, its
    external data, and its preparation and corrections. The digest of the code covers the method and its constants.
    """
    return {
        "graph": graph_sha256(graph),
        "method": method,
        "tensors": list(tensors),
        "data": data.sha256(),
        "infinities": infinities,
        "code": _code_sha256(),
        "versions": {"edgewright": runtimes.__version__, **{name: version(name) for name in _LIBRARIES}},
        "processor": [cpu.arch(), *sorted(cpu.isa_flags())],  # its kernels differ in the last bits
    }


def graph_sha256(graph: ir.Model) -> str:
    """Compute the digest of a graph and its weights, which need not fit into one protobuf."""
    bare = graph.clone()
    digest = hashlib.sha256()
    for name, value in sorted(bare.graph.initializers.items()):
        tensor = value.const_value
        assert tensor is not None
        digest.update(f"{name}:{tensor.dtype}:{tensor.shape};".encode())
        is_text = tensor.dtype == ir.DataType.STRING  # strings have no fixed layout in bytes
        digest.update(repr(tensor.numpy().tolist()).encode() if is_text else tensor.tobytes())
    bare.graph.initializers.clear()
    digest.update(ir.to_proto(bare).SerializeToString(deterministic=True))
    return digest.hexdigest()


def _code_sha256() -> str:
    digest = hashlib.sha256()
    files = [file for folder in ("calibration", "graphs") for file in (CODE / folder).rglob("*.py")]
    # `runtimes/samples.py` splits the samples into inferences.
    for file in (*sorted([CODE / "models" / "ort_session.py", *files]), Path(samples.__file__)):
        digest.update(f"{file.relative_to(CODE) if file.is_relative_to(CODE) else file.name}:".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
