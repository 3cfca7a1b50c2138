"""ONNX text, its constants and samples in; a source and what a recipe makes of it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx.reference import ReferenceEvaluator

from hwbench.data import dataset
from runtimes.samples import feeds
from runtimes.tensors import Array
from runtimes.verification.golden import relative_error
from toolchain.models import ort_session
from toolchain.models.onnx_model import OnnxModel, open_model
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe

_INTEGERS = ("int8", "int8-dynamic")


def parse(text: str, constants: Mapping[str, object], domains: str = "", opset: int = 17) -> onnx.ModelProto:
    """A model; "name (inputs) => (outputs) { nodes }"."""
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}{domains}]> {text}')
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items())
    return proto


def rename(proto: onnx.ModelProto, names: Mapping[str, str]) -> onnx.ModelProto:
    """Other names for values, such as the parser does not take."""
    for node in proto.graph.node:
        for listed in (node.input, node.output):
            listed[:] = [names.get(name, name) for name in listed]
    for initializer in proto.graph.initializer:
        initializer.name = names.get(initializer.name, initializer.name)
    return proto


def error(
    folder: Path,
    proto: onnx.ModelProto,
    recipe: Recipe,
    samples: Mapping[str, Array],
    load: Callable[[Path], ort.InferenceSession] | None = None,
) -> float:
    """The largest relative error of an output that a valid variant makes.

    Integers are computed exactly, if not loaded otherwise; what computes in float, by the kernels that it will run on.
    """
    load = load or (ort_session.exact_session if recipe.precision in _INTEGERS else ort.InferenceSession)
    source, made = make(folder, proto, recipe, samples)
    onnx.checker.check_model(str(made.path), full_check=True)
    sessions = [load(model.path) for model in (made, source)]
    errors = [0.0]
    for feed in feeds(source.inputs, samples):
        errors += [relative_error(*pair) for pair in zip(*(session.run(None, feed) for session in sessions))]
    return max(errors)


def error_in_true_half(folder: Path, proto: onnx.ModelProto, recipe: Recipe, samples: Mapping[str, Array]) -> float:
    """As `error`, in onnx's own evaluator: it really computes in fp16, which ONNX Runtime does not on x86."""
    source, made = make(folder, proto, recipe, samples)
    outputs = ReferenceEvaluator(str(made.path)).run(None, dict(samples))
    return max(map(relative_error, outputs, ort.InferenceSession(source.path).run(None, dict(samples))))


def make(
    folder: Path, proto: onnx.ModelProto, recipe: Recipe, samples: Mapping[str, Array]
) -> tuple[OnnxModel, OnnxModel]:
    """The source and the variant."""
    onnx.save(proto, folder / "source.onnx")
    np.savez(folder / "samples.npz", **samples)  # type: ignore[arg-type]
    source = open_model(folder / "source.onnx")
    return source, quantize(
        source, recipe, dataset.read(folder / "samples.npz", source.inputs), folder / "variant.onnx"
    )


def normal(*shape: int, scale: float = 1.0) -> Array:
    return (np.random.default_rng(sum(shape)).standard_normal(shape) * scale).astype(np.float32)
