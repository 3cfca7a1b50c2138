"""Opening of a source together with its calibration samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hwbench.data import dataset
from hwbench.data.dataset import Dataset
from runtimes.bundles.states import States
from runtimes.errors import UsageError
from runtimes.npz import open_arrays
from runtimes.tensors import TensorSpec
from toolchain.calibration.sample_factory import as_npz
from toolchain.calibration.single_steps import single_steps
from toolchain.models.onnx_model import OnnxModel, is_quantized, load_ir
from toolchain.sources.open_source import open_source
from toolchain.sources.source_states import check_states, first_steps


def open_with_samples(
    source: str,
    inputs: Sequence[TensorSpec],
    calibration: Path,
    work: Path,
    outputs: Sequence[str] = (),
    states: States | None = None,
    *,
    trusted: bool = False,
) -> tuple[OnnxModel, Dataset]:
    """Export a source, and check its samples against it; sequences become single steps.

    Args:
        source: a file, or MODULE:FACTORY.
        inputs: specs from --input; may be empty if the source declares its own.
        calibration: an .npz, or FILE.py:FACTORY.
        work: a folder for the exported model and for what a factory yields.
        outputs: names from --output for the first outputs, in order.
        states: the model's states, if it has any.
        trusted: read a file although it holds what runs as code.

    Raises:
        UsageError: the source or the samples cannot be read, or do not fit each other.
    """
    file = as_npz(calibration, work / "calibration.npz")
    states = states or {}
    first = first_steps(open_arrays(file), states)
    model = open_source(source, inputs, work / "source.onnx", first, outputs, trusted=trusted)
    check_states(states, model)
    samples = dataset.read(file, model.inputs, called=str(calibration), states=states)
    return model, single_steps(model, samples, work / "steps.npz")


def open_float_with_samples(
    source: str,
    inputs: Sequence[TensorSpec],
    calibration: Path,
    work: Path,
    outputs: Sequence[str] = (),
    states: States | None = None,
    *,
    trusted: bool = False,
) -> tuple[OnnxModel, Dataset]:
    """Export a float source, and check its samples against it; see `open_with_samples` for the arguments.

    Raises:
        UsageError: the source is quantized already; or as in `open_with_samples`.
    """
    model, samples = open_with_samples(source, inputs, calibration, work, outputs, states, trusted=trusted)
    if is_quantized(load_ir(model.path)):
        raise UsageError(f"'{source}' is quantized already; give the float model that it was made from.")
    return model, samples
