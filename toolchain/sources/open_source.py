"""Sources on the command line: their kinds, the names that models take from them, and the exporter that reads each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runtimes.bundles.names import text_fault
from runtimes.errors import UsageError
from toolchain.exporters import exporter

if TYPE_CHECKING:  # `measure` imports `is_onnx` on a device without onnx-ir, and --help imports no NumPy
    from runtimes.sample_arrays import Rows
    from runtimes.tensors import TensorSpec
    from toolchain.models.onnx_model import OnnxModel

_SUFFIXES = {
    ".onnx": "onnx",
    ".pt2": "pt2",
    ".pt": "torchscript",
    ".pth": "torchscript",
    ".ts": "torchscript",
    ".keras": "keras",
}


def open_source(
    source: str,
    inputs: Sequence[TensorSpec],
    out: Path,
    samples: Mapping[str, Rows] | None = None,
    outputs: Sequence[str] = (),
    output_rows: int | None = None,
    *,
    trusted: bool = False,
) -> OnnxModel:
    """Export a source to ONNX.

    Args:
        source: a file, or MODULE:FACTORY.
        inputs: specs from --input; may be empty if the source declares its own.
        out: the ONNX file to write, if one is made.
        samples: arrays by input, first axis the samples, to export and check with if they fit. Random numbers
            stand in for the other inputs, and some models do not accept them.
        outputs: names from --output for the first outputs, in order.
        output_rows: number of rows from --output-rows for outputs whose sizes depend on the data.
        trusted: read a file although it holds what runs as code.

    Raises:
        UsageError: the source is of no known kind, its exporter refuses it, or an output cannot have the name or the
            number of rows.
    """
    model = exporter(_kind(source)).export(source, inputs, out, samples, trusted=trusted)
    from toolchain.exporters._output_names import rename_outputs  # with onnx-ir
    from toolchain.exporters._output_rows import fix_rows

    opened = fix_rows(rename_outputs(model, outputs, source, out), output_rows, source, out)
    for spec in (*opened.inputs, *opened.outputs):
        if (fault := text_fault([spec.name, *map(str, spec.shape)])) is not None:
            raise UsageError(f"'{source}' has a tensor that {fault}; rename it in the model, or with --output.")
    return opened


def check_source(source: str) -> None:
    """Check that a source is of a known kind and that its file is there, without opening it.

    Raises:
        UsageError: it is not; the message lists the kinds, or names the missing file.
    """
    is_module = _kind(source) == "module"
    file = source.rpartition(":")[0] if is_module else source
    if not Path(file).exists() and (file.endswith(".py") or not is_module):
        raise UsageError(f"There is no file '{file}'.")


def is_source(text: str) -> bool:
    """Tell whether a text is of the form of a source: a file with a known suffix, or MODULE:FACTORY."""
    return _kind_if_any(text) is not None


def is_onnx(path: Path) -> bool:
    """Tell whether a path is taken for an ONNX file, by its suffix."""
    return _SUFFIXES.get(path.suffix.lower()) == "onnx"


def default_name(source: str) -> str:
    """Take a model's name from its source: the file's stem, or the factory's module."""
    where, _, factory = source.rpartition(":")
    if not (where and factory.isidentifier()):
        stem = Path(source).stem
    else:
        stem = Path(where).stem if where.endswith(".py") else where.rpartition(".")[2]
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in stem).strip(".-") or "model"


def _kind_if_any(source: str) -> str | None:
    suffix = Path(source).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    return "module" if ":" in source and source.rpartition(":")[2].isidentifier() else None


def _kind(source: str) -> str:
    kind = _kind_if_any(source)
    if kind is not None:
        return kind
    raise UsageError(
        f"'{source}' is no kind of source; give a {', '.join(sorted(set(_SUFFIXES)))} file, MODULE:FACTORY, "
        "or an edgewright.toml."
    )
