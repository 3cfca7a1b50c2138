"""Shared part of the engine builders: the model in one file, its plan, and an engine that is built once."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path

import onnx_ir as ir

from hwbench.progress import bar, say
from runtimes.bundles.build_plan import BuildPlan, EngineLayer
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.codec import decode
from runtimes.errors import UnsupportedError
from runtimes.profile import QuantizationScheme
from runtimes.tensorrt import engine_file
from runtimes.tensorrt.build_engine import Built
from runtimes.tensorrt.build_process import Notes, build_in_child
from runtimes.tensorrt.engine_file import BuildEnvironment, EngineKey
from toolchain.builders import _artifact
from toolchain.builders import onnxruntime as onnx_builder
from toolchain.engines.build_target import BuildTarget
from toolchain.engines.overview import arithmetic
from toolchain.engines.planner import plan_engine
from toolchain.models.data_dependent import data_dependent_outputs
from toolchain.models.onnx_model import OnnxModel, load_ir
from toolchain.recipes.recipe import Recipe

_STEPS = 100  # of the progress bar, one per percent

# TensorRT's parser refuses these operators (parser errors of tensorrt-rtx 1.7.1); it takes Q/DQ pairs.
_REFUSED_OPS = frozenset({"DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "QLinearConv", "QLinearMatMul"})


def fit_int8(model: ir.Model, scheme: QuantizationScheme) -> ir.Model:
    """Return a graph as it is: no faults are known. It is made apart since TensorRT fuses other pairs."""
    return model


def plan_for(model: OnnxModel, recipe: Recipe, target: BuildTarget | None, runtime: str) -> BuildPlan:
    """Plan a model's engine.

    Raises:
        UnsupportedError: there is no device to build for, or it cannot compute the recipe.
        UsageError: a dynamic dimension has no range.
    """
    if target is None:
        raise UnsupportedError(f"{runtime} builds engines for a device; give its profile.")
    return plan_engine(target.profile, model.inputs, arithmetic(recipe.precision), target.ranges, runtime)


def typed_model(model: OnnxModel, recipe: Recipe, settings: RuntimeSettings, out: Path) -> Path:
    """Write the model as `model.onnx`, including its weights, into the folder `out`.

    Raises:
        UnsupportedError: one file cannot hold the model, TensorRT's parser is known to refuse an operator, or the size
            of an output depends on the data.
    """
    graph = load_ir(model.path)
    refused = sorted({node.op_type for node in graph.graph.all_nodes()} & _REFUSED_OPS)
    if refused:
        raise UnsupportedError(
            f"TensorRT does not support {', '.join(refused)}; its int8 is Q/DQ pairs with fixed scales."
        )
    for output, op in data_dependent_outputs(graph).items():
        raise UnsupportedError(
            f"The size of the output '{output}' depends on the data ({op}), and engines are run with outputs of known "
            f"sizes; give a number of rows with --output-rows, or cut the model before {op} and do the rest in the "
            "application."
        )
    return onnx_builder.build(model, recipe, settings, out).file


def engine_for(plan: BuildPlan, onnx: bytes, environment: BuildEnvironment) -> Built:
    """Take a model's engine from the cache, or build it in a process of its own with progress on a terminal.

    Raises:
        BackendError: TensorRT refuses the model, or crashes; the message has its own text.
    """
    key = EngineKey(environment, plan, hashlib.sha256(onnx).hexdigest())
    cache = engine_file.open_cache(say)
    known = cache.get(key)
    if known is not None:
        engine, said = engine_file.split(known)
        notes = decode(Notes, said, "a cached engine")
        return Built(engine, notes.layers, notes.warnings)
    reached = 0
    with bar(f"Building an engine for {plan.device}", _STEPS) as tick:

        def show(done: float, phase: str) -> None:
            nonlocal reached
            while reached < int(done * _STEPS):
                reached += 1
                tick(phase)

        built = build_in_child(key, onnx, show)
    cache.put(key, engine_file.join(built.engine, Notes(built.layers, built.warnings)))
    cache.trim()
    return built


def artifact(
    model: OnnxModel,
    recipe: Recipe,
    settings: RuntimeSettings,
    file: Path,
    plan: BuildPlan,
    versions: Mapping[str, str],
    layers: tuple[EngineLayer, ...] = (),
) -> Artifact:
    """Describe the file that was built: an engine, or a model with the plan for the device."""
    described = _artifact.describe(file, model, recipe, settings, plan.runtime, versions)
    return dataclasses.replace(described, plan=plan, layers=layers)


def onnx_version() -> str:
    """Return the version of onnx-ir, which writes the model."""
    return str(ir.__version__)
