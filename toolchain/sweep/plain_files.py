"""Requests whose files are plain data, an ONNX file and .npz files, so that any machine can build them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from runtimes.npz import open_arrays
from toolchain.calibration.sample_factory import as_npz
from toolchain.pipeline.request import BuildRequest
from toolchain.sources.open_source import is_onnx, open_source
from toolchain.sources.source_states import first_steps


def with_plain_files(request: BuildRequest, folder: Path) -> BuildRequest:
    """Export a request's source and write its samples, once for all cells; what is plain already stays where it is.

    Args:
        request: a build.
        folder: an empty folder for the files.

    Raises:
        UsageError: the source or the samples cannot be read.
    """
    table = request.calibration_table
    request = dataclasses.replace(
        request,
        calibration=_samples(request.calibration, folder / "calibration.npz"),
        calibration_table=table.absolute() if table is not None else None,
        evaluation=_samples(request.evaluation, folder / "evaluation.npz"),
        unlabelled=_samples(request.unlabelled, folder / "unlabelled.npz"),
    )
    if is_onnx(Path(request.source)):
        return dataclasses.replace(request, source=str(Path(request.source).absolute()))
    real = request.calibration or request.evaluation
    model = open_source(
        request.source,
        request.inputs,
        folder / f"{request.name}.onnx",
        first_steps(open_arrays(real), request.states) if real else None,
        request.outputs,
        request.output_rows,
        trusted=request.trusted,
    )
    return dataclasses.replace(
        request, source=str(model.path.absolute()), inputs=(), outputs=(), output_rows=None, trusted=False
    )


def _samples(given: Path | None, out: Path) -> Path | None:
    return as_npz(given, out).absolute() if given is not None else None
