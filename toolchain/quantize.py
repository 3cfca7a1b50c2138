"""One recipe, applied to one model."""

from __future__ import annotations

import dataclasses
import logging
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

_LOG = logging.getLogger(__name__)  # warnings go to stderr where nobody configures logging

QUANTIZERS = "toolchain.quantizers"
CALIBRATORS = "toolchain.calibration.methods"
CORRECTIONS = "toolchain.corrections"
REFERENCE = "fp32"
"""The precision that is the source as it is."""


def quantize(model: OnnxModel, recipe: Recipe, calibration: Dataset | None, out: Path) -> OnnxModel:
    """Make a model's variant.

    Args:
        model: the source.
        recipe: what to make of it.
        calibration: samples for recipes that observe ranges.
        out: the file to write.

    Returns:
        The variant; its `source_sha256` is the source's.

    Raises:
        UsageError: the recipe needs samples and there are none, or does not apply to this model; says why.
    """
    quantizer = plugins.load(QUANTIZERS, recipe.precision, "precision")
    if recipe.precision == REFERENCE:
        return model
    if is_quantized(load_ir(model.path)):
        raise UsageError("The model is quantized already; it is packed as it is.")
    graph = prepare(model)
    ranges: Mapping[str, Range] = {}
    if quantizer.NEEDS_RANGES != "no" and recipe.calibration is not None and calibration is not None:
        ranges = calibrate(graph, recipe, calibration, model.inputs).ranges
        graph = correct(graph, recipe, ranges, calibration, model.inputs)
    elif quantizer.NEEDS_RANGES == "yes":
        raise UsageError(f"{recipe.precision} needs samples to observe ranges on; give --calibration FILE.npz.")
    made = save_ir(quantizer.quantize(graph, recipe, ranges), out)
    return dataclasses.replace(made, source_sha256=model.source_sha256 or model.sha256)


def calibrate(graph: ir.Model, recipe: Recipe, calibration: Dataset, specs: Sequence[TensorSpec]) -> CalibrationTable:
    """Observe what a recipe's quantizer asks for.

    Raises:
        UsageError: an unknown method, or samples that do not do; says why.
    """
    method = plugins.load(CALIBRATORS, str(recipe.calibration), "calibration method")
    quantizer = plugins.load(QUANTIZERS, recipe.precision, "precision")
    infinities = quantizer.COMPUTES_IN != "int8"  # every float format holds infinity, such as an attention mask's
    tensors = quantizer.tensors(graph, recipe)
    table: CalibrationTable = method.calibrate(graph, tensors, specs, calibration.arrays, infinities=infinities)
    missed = [name for name in tensors if name not in table.ranges]
    if missed:
        _LOG.warning(
            "No calibration sample reached %d of %d tensors, such as '%s'; int8 leaves in float32 what computes them.",
            *(len(missed), len(tensors), missed[0]),
        )
    return table


def correct(
    graph: ir.Model,
    recipe: Recipe,
    ranges: Mapping[str, Range],
    calibration: Dataset,
    specs: Sequence[TensorSpec],
) -> ir.Model:
    """A float graph with the recipe's corrections applied; the one that is given stays as it is.

    Raises:
        UsageError: an unknown correction, or samples that do not do; says why.
    """
    for name in recipe.corrections:
        correction = plugins.load(CORRECTIONS, name, "correction")
        graph = correction.correct(graph.clone(), recipe, ranges, specs, calibration.arrays)
    return graph
