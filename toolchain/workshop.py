"""Where candidates are made: quantized, built, and packed as bundles, so that what is measured is what would ship."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from pathlib import Path

import onnx_ir as ir

from hwbench.dataset import Dataset
from runtimes import plugins
from runtimes.artifact import Artifact
from runtimes.profile import HardwareProfile
from toolchain.asis import as_is
from toolchain.calibration import cache
from toolchain.calibration.table import CalibrationTable
from toolchain.candidates import BUILDERS, Candidate
from toolchain.model import OnnxModel, is_quantized, load_ir
from toolchain.pack import Contents, pack
from toolchain.prepare import prepare
from toolchain.quantize import REFERENCE, check_table, quantize
from toolchain.recipe import Recipe


class Workshop:
    """One source model, its calibration samples, and the variants made so far, in a folder that goes away."""

    def __init__(
        self,
        name: str,
        model: OnnxModel,
        calibration: Dataset | None,
        folder: Path,
        table: CalibrationTable | None = None,
    ) -> None:
        self.name, self.model = name, model
        self._calibration, self._folder, self._table = calibration, folder, table
        self.as_is = as_is(model)
        self._variants: dict[Recipe, OnnxModel] = {self.as_is: model}
        self._bundles = 0
        if table is not None and self._prepared is not None:
            check_table(table, self._prepared)

    def make(self, candidate: Candidate, profile: HardwareProfile) -> tuple[Path, Artifact]:
        """A candidate's bundle, without golden samples, and its artifact.

        Raises:
            EdgewrightError: the recipe does not apply to this model, or the runtime's builder fails.
        """
        variant = self._variant(candidate.recipe)
        folder = self._folder / f"candidate-{self._bundles}"
        self._bundles += 1
        folder.mkdir()
        builder = plugins.load(BUILDERS, candidate.runtime, "runtime")
        artifact: Artifact = builder.build(variant, candidate.recipe, candidate.settings, folder)
        bundle = folder / "candidate.edge"
        pack(Contents(self.name, profile, artifact, candidate.recipe, {}, {}), bundle)
        return bundle, artifact

    def kept(self, recipe: Recipe) -> tuple[str, ...]:
        """The nodes that had to be left in the source's precision for a variant to run."""
        return self._variants[recipe].kept if recipe in self._variants else ()

    def _variant(self, recipe: Recipe) -> OnnxModel:
        """Several profiles and runtimes may ask for one recipe; it is made once."""
        recipe = dataclasses.replace(recipe, keep_in="fp32")  # which a runtime is told, and no graph
        if recipe not in self._variants:
            file = self._folder / f"variant-{len(self._variants)}.onnx"
            self._variants[recipe] = quantize(
                self.model,
                recipe,
                self._calibration,
                file,
                prepared=self._prepared if recipe.precision != REFERENCE else None,
                table=self._table,
                cache=cache.folder(),
            )
        return self._variants[recipe]

    @cached_property
    def _prepared(self) -> ir.Model | None:
        """The source's graph, folded once for all recipes; None of a source that is not quantized again."""
        return None if is_quantized(load_ir(self.model.path)) else prepare(self.model)
