"""One recipe, applied to one model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import onnx_ir as ir

from hwbench.dataset import Dataset
from runtimes import plugins
from runtimes.errors import UsageError
from runtimes.tensors import TensorSpec
from toolchain.calibration.table import CalibrationTable, Range
from toolchain.model import CORRECTIONS_KEY, OnnxModel, is_quantized, load_ir, save_ir
from toolchain.prepare import prepare
from toolchain.recipe import Recipe

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
        graph = correct(graph, recipe, "before", {}, calibration, model.inputs)
        ranges = calibrate(graph, recipe, calibration, model.inputs).ranges
        graph = correct(graph, recipe, "after", ranges, calibration, model.inputs)
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
    table: CalibrationTable = method.calibrate(
        graph, quantizer.tensors(graph, recipe), specs, calibration.arrays, infinities=infinities
    )
    return table


def correct(
    graph: ir.Model,
    recipe: Recipe,
    stage: Literal["before", "after"],
    ranges: Mapping[str, Range],
    calibration: Dataset,
    specs: Sequence[TensorSpec],
) -> ir.Model:
    """A float graph with the recipe's corrections of one stage applied; the one that is given stays as it is.

    What each did is in the graph's metadata, and so in the file that is made of it.

    Args:
        graph: the prepared graph.
        recipe: its `corrections` are applied in its order.
        stage: before calibration, or after it.
        ranges: what calibration gave; empty before.
        calibration: the samples.
        specs: the model's inputs.

    Raises:
        UsageError: an unknown correction, or samples that do not do; says why.
    """
    for name in recipe.corrections:
        correction = plugins.load(CORRECTIONS, name, "correction")
        if stage == correction.STAGE:
            graph, changed = correction.correct(graph.clone(), recipe, ranges, specs, calibration.arrays)
            done = graph.metadata_props.get(CORRECTIONS_KEY)
            graph.metadata_props[CORRECTIONS_KEY] = f"{done + ', ' if done else ''}{name} {changed}"
    return graph
