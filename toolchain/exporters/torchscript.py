"""Exporter of `.pt`, TorchScript archives (torch.jit.save)."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from runtimes.errors import UsageError
from runtimes.sample_arrays import Rows
from runtimes.tensors import TensorSpec
from toolchain.exporters._examples import example_feed
from toolchain.exporters._quiet import quiet
from toolchain.exporters._root_cause import root_cause
from toolchain.exporters.saved_programs import UnsafeProgramError, advice
from toolchain.exporters.saved_programs.check_script import check_script
from toolchain.exporters.tracing.export_script import export_script
from toolchain.models.onnx_model import OnnxModel


def export(
    source: str,
    inputs: Sequence[TensorSpec],
    out: Path,
    samples: Mapping[str, Rows] | None = None,
    *,
    trusted: bool = False,
) -> OnnxModel:
    """Export a scripted or traced model.

    Args:
        source: the archive. A pickled module or a state_dict is refused: reading one can run any code.
        inputs: specs of the tensors that `forward` takes, by its parameters' names or in their order.
        out: the file to write.
        samples: real samples to export and check with; random ones for inputs without.
        trusted: read the file although its code calls operators that do more than compute.

    Raises:
        UsageError: the file is not TorchScript, could do more than compute and is not trusted, or the model cannot be
            exported.
    """
    if not Path(source).is_file():
        raise UsageError(f"There is no file '{source}'.")
    if not _is_archive(source):
        raise UsageError(
            f"'{source}' is not a TorchScript archive or is truncated. A state_dict or a pickled module holds no "
            "program; give the source as FILE.py:FACTORY, a function that builds the module and loads it."
        )
    if not inputs:
        raise UsageError(
            f"'{source}' needs its inputs described; add --input, as in --input image=float32[N,3,224,224]."
        )
    with quiet():
        try:
            if not trusted:
                check_script(Path(source))
            loaded = torch.jit.load(source, map_location="cpu")  # type: ignore[no-untyped-call]
            module = loaded.eval()
        except UnsafeProgramError as problem:
            raise UsageError(advice(source, problem)) from None
        except Exception as error:  # a RuntimeError whose text holds a C++ stack
            raise UsageError(f"'{source}' cannot be read as a TorchScript archive: {root_cause(error)}") from error
    return export_script(module, inputs, example_feed(inputs, samples), out, source)


def _is_archive(source: str) -> bool:
    """Tell whether torch.jit.save wrote a file: its archive has code, and torch.save's has none."""
    try:
        with zipfile.ZipFile(source) as archive:
            return any("/code/" in name for name in archive.namelist())
    except zipfile.BadZipFile:
        return False
