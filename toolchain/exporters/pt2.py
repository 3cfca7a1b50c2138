"""Exporter of `.pt2`, programs saved with torch.export.save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from runtimes.errors import UsageError
from runtimes.tensors import Array, TensorSpec
from toolchain.exporters._torch import export_and_check, quiet, root_cause
from toolchain.models.onnx_model import OnnxModel


def export(
    source: str, inputs: Sequence[TensorSpec], out: Path, samples: Mapping[str, Array] | None = None
) -> OnnxModel:
    """Export a saved program; its own example arguments and dynamic dimensions are used.

    Args:
        source: the .pt2 file.
        inputs: specs whose names replace the program's; shapes are the program's own.
        out: the file to write.
        samples: unused, since the program has example arguments.

    Raises:
        UsageError: the file cannot be read, or the program cannot be exported.
    """
    if not Path(source).is_file():
        raise UsageError(f"There is no file '{source}'.")
    try:
        with quiet():
            program = torch.export.load(source)
    except Exception as error:  # zipfile, json and torch raise errors of their own
        raise UsageError(f"'{source}' cannot be read as a torch.export program: {root_cause(error)}") from error
    if program.example_inputs is None:
        raise UsageError(
            f"'{source}' holds no example inputs; save it with torch.export.save from torch.export.export."
        )
    arguments, keywords = program.example_inputs
    if keywords:
        raise UsageError(f"'{source}' takes keyword arguments; export it with positional arguments.")
    return export_and_check(program, program.module(), tuple(arguments), inputs, out, source)
