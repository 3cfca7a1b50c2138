"""What a SOURCE on the command line is, and the exporter that reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runtimes.errors import UsageError
from runtimes.samples import Rows
from runtimes.tensors import TensorSpec
from toolchain.exporters import exporter

if TYPE_CHECKING:  # a device, where `measure` asks for `is_onnx` alone, has no onnx-ir
    from toolchain.models.onnx_model import OnnxModel

_SUFFIXES = {".onnx": "onnx", ".pt2": "pt2", ".pt": "torchscript", ".pth": "torchscript", ".ts": "torchscript"}


def open_source(
    source: str, inputs: Sequence[TensorSpec], out: Path, samples: Mapping[str, Rows] | None = None
) -> OnnxModel:
    """Export a source to ONNX.

    Args:
        source: a file, or MODULE:FACTORY.
        inputs: specs from --input; may be empty where the source declares its own.
        out: where the ONNX file goes, if one is made.
        samples: arrays by input, first axis the samples, to export and check with where they fit; random
            numbers stand in for the others, and some models do not take them.

    Raises:
        UsageError: it is none of the kinds there are, or its exporter refuses it.
    """
    return exporter(_kind(source)).export(source, inputs, out, samples)


def is_onnx(path: Path) -> bool:
    """Whether a path is taken for an ONNX file, by its suffix."""
    return _SUFFIXES.get(path.suffix.lower()) == "onnx"


def default_name(source: str) -> str:
    """A model's name from its source: the file's stem, or the factory's module."""
    where, _, factory = source.rpartition(":")
    if not (where and factory.isidentifier()):
        stem = Path(source).stem
    else:
        stem = Path(where).stem if where.endswith(".py") else where.rpartition(".")[2]
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in stem).strip(".-") or "model"


def _kind(source: str) -> str:
    suffix = Path(source).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if ":" in source and source.rpartition(":")[2].isidentifier():
        return "module"
    raise UsageError(
        f"'{source}' is no kind of source; give a {', '.join(sorted(set(_SUFFIXES)))} file, MODULE:FACTORY, "
        "or an edgewright.toml."
    )
