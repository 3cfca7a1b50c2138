"""Exporter of `.keras`, models saved by Keras 3."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from runtimes.errors import UsageError
from runtimes.sample_arrays import Rows
from runtimes.tensors import TensorSpec
from toolchain.exporters._quiet import quiet
from toolchain.exporters._root_cause import root_cause
from toolchain.exporters.keras_models.export_model import export_model
from toolchain.exporters.keras_models.package import import_keras
from toolchain.models.onnx_model import OnnxModel


def export(
    source: str,
    inputs: Sequence[TensorSpec],
    out: Path,
    samples: Mapping[str, Rows] | None = None,
    *,
    trusted: bool = False,
) -> OnnxModel:
    """Export a saved model, which is taken for data: code that it holds is refused, unless it is trusted.

    Args:
        source: the .keras file.
        inputs: specs that replace the model's own names, dtypes and open sizes; may be empty.
        out: the file to write.
        samples: real samples to export and check with; random ones for inputs without.
        trusted: run code that the file holds, as in a Lambda layer.

    Raises:
        UsageError: the file cannot be read, holds code, or the model cannot be exported.
        NotInstalledError: Keras is not installed.
    """
    if not Path(source).is_file():
        raise UsageError(f"There is no file '{source}'.")
    if not zipfile.is_zipfile(source):
        raise UsageError(f"'{source}' is not a .keras file of Keras 3, or is truncated; write it with model.save.")
    keras = import_keras()
    try:
        with quiet(), keras.device("cpu"):
            model = keras.saving.load_model(source, compile=False, safe_mode=not trusted)
    except Exception as error:  # the file names the classes that are built from it, and these may raise anything
        raise UsageError(_refusal(source, error)) from error
    return export_model(model, source, inputs, out, samples)


def _refusal(source: str, error: Exception) -> str:
    """Describe why a file is not read: by the first error, since Keras words those that follow from it anew."""
    first: BaseException = error
    while (earlier := first.__cause__ or first.__context__) is not None:
        first = earlier
    reason = root_cause(first)
    factory = "give the source as FILE.py:FACTORY, a function that loads it with your code"
    if "safe_mode" in str(first):
        what = "Python code (as in a Lambda layer), which is not run from a file"
        return f"'{source}' holds {what}; {factory}, or add --trust-source."
    if "Could not locate" in reason:
        what = reason.partition("Could not locate ")[2].partition(". ")[0]
        return f"'{source}' needs the {what}, which is not part of Keras; {factory}."
    return f"'{source}' cannot be read as a Keras model: {reason}"
