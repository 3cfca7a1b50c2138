"""One recipe, applied to one model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from hwbench.dataset import Dataset
from runtimes import plugins
from runtimes.errors import UsageError
from toolchain.calibration.table import CalibrationTable, Range
from toolchain.model import OnnxModel, is_quantized, load_ir, save_ir
from toolchain.prepare import prepare
from toolchain.recipe import Recipe

QUANTIZERS = "toolchain.quantizers"
CALIBRATORS = "toolchain.calibration.methods"


def quantize(model: OnnxModel, recipe: Recipe, calibration: Dataset | None, out: Path) -> OnnxModel:
    """Make a model's variant.

    Args:
        model: the source.
        recipe: what to make of it.
        calibration: samples for recipes that observe ranges.
        out: the file to write.

    Returns:
        The variant; its `sha256` is the source's, which is what it was made from.

    Raises:
        UsageError: the recipe needs samples and there are none, or does not apply to this model; says why.
    """
    quantizer = plugins.load(QUANTIZERS, recipe.precision, "precision")
    if recipe.precision == "fp32":
        return model
    if is_quantized(load_ir(model.path)):
        raise UsageError("The model is quantized already; it is packed as it is.")
    graph = prepare(model)
    ranges: Mapping[str, Range] = {}
    if recipe.calibration is not None and calibration is None:
        if not getattr(quantizer, "RANGES_ARE_OPTIONAL", False):
            raise UsageError(f"{recipe.precision} needs samples to observe ranges on; give --calibration FILE.npz.")
    elif recipe.calibration is not None and calibration is not None:
        ranges = calibrate(graph, quantizer.tensors(graph, recipe), model, calibration, recipe.calibration).ranges
    return dataclasses.replace(save_ir(quantizer.quantize(graph, recipe, ranges), out), sha256=model.sha256)


def calibrate(
    graph: object, tensors: tuple[str, ...], model: OnnxModel, calibration: Dataset, method: str
) -> CalibrationTable:
    """Observe a prepared graph's tensors with a method by name."""
    module = plugins.load(CALIBRATORS, method, "calibration method")
    table: CalibrationTable = module.calibrate(graph, tensors, model.inputs, calibration.arrays)
    return table
