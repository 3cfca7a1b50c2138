"""One recipe, applied to one model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

from hwbench.dataset import Dataset
from runtimes import plugins
from runtimes.errors import UsageError
from runtimes.tensors import TensorSpec
from toolchain.calibration.table import CalibrationTable, Range
from toolchain.model import OnnxModel, is_quantized, load_ir, save_ir
from toolchain.prepare import prepare
from toolchain.recipe import Recipe

QUANTIZERS = "toolchain.quantizers"
CALIBRATORS = "toolchain.calibration.methods"
CORRECTIONS = "toolchain.corrections"


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
    if recipe.calibration is not None and calibration is not None:
        graph, ranges = calibrate(graph, recipe, calibration, model.inputs)
    elif recipe.calibration is not None and not getattr(quantizer, "RANGES_ARE_OPTIONAL", False):
        raise UsageError(f"{recipe.precision} needs samples to observe ranges on; give --calibration FILE.npz.")
    return dataclasses.replace(save_ir(quantizer.quantize(graph, recipe, ranges), out), sha256=model.sha256)


def calibrate(
    graph: ir.Model, recipe: Recipe, calibration: Dataset, specs: Sequence[TensorSpec]
) -> tuple[ir.Model, Mapping[str, Range]]:
    """Observe what a recipe's quantizer asks for, and apply the recipe's corrections.

    Returns:
        The corrected float graph, and the range of each tensor.

    Raises:
        UsageError: an unknown method or correction, or samples that do not do; says why.
    """
    method = plugins.load(CALIBRATORS, str(recipe.calibration), "calibration method")
    quantizer = plugins.load(QUANTIZERS, recipe.precision, "precision")
    table: CalibrationTable = method.calibrate(graph, quantizer.tensors(graph, recipe), specs, calibration.arrays)
    for name in recipe.corrections:
        correction = plugins.load(CORRECTIONS, name, "correction")
        graph = correction.correct(graph, recipe, table.ranges, specs, calibration.arrays)
    return graph, table.ranges
