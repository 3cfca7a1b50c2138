"""Models made to need a correction, and how far int8 is from float on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from arithmetic import exactly

from hwbench.data import dataset
from hwbench.data.dataset import Dataset
from runtimes.tensors import Array
from toolchain.models.onnx_model import OnnxModel, load_ir, open_model
from toolchain.models.prepare import prepare
from toolchain.recipes.apply_corrections import correct
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe


@dataclass(frozen=True)
class Case:
    """A model and samples."""

    model: OnnxModel
    samples: Dataset

    @classmethod
    def of(cls, folder: Path, text: str, constants: Mapping[str, Array], samples: Mapping[str, Array]) -> Case:
        """`text` is "name (inputs) => (outputs) { nodes }" in opset 17."""
        proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}')
        for name, array in constants.items():
            proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array, np.float32), name))
        onnx.checker.check_model(proto, full_check=True)
        onnx.save(proto, folder / "source.onnx")
        np.savez(folder / "samples.npz", **samples)  # type: ignore[arg-type]
        model = open_model(folder / "source.onnx")
        return cls(model, dataset.read(folder / "samples.npz", model.inputs))

    def decibels(self, recipe: Recipe) -> float:
        """Signal to noise of what int8 computes, over all outputs' values, in dB."""
        return decibels(self.run(load_ir(self.quantized(recipe).path)), self.run(load_ir(self.model.path)))

    def quantized(self, recipe: Recipe) -> OnnxModel:
        return quantize(self.model, recipe, self.samples, self.model.path.with_name("int8.onnx"))

    def corrected(self, recipe: Recipe) -> ir.Model:
        """The float graph after the corrections that come before calibration."""
        return correct(prepare(self.model), recipe, "before", {}, self.samples)

    def run(self, model: ir.Model) -> Array:
        """All outputs as the graph says, flat, one after the other: float64."""
        outputs = exactly(model, {name: array[:] for name, array in self.samples.arrays.items()})
        return np.concatenate([output.ravel() for output in outputs]).astype(np.float64)


def decibels(made: Array, expected: Array) -> float:
    """10 log10 of signal over noise."""
    return float(10 * np.log10((expected**2).sum() / ((made - expected) ** 2).sum()))
