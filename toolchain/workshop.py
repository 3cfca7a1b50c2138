"""Where candidates are made: quantized, built, and packed as bundles, so that what is measured is what would ship."""

from __future__ import annotations

from pathlib import Path

from hwbench.dataset import Dataset
from runtimes import plugins
from runtimes.artifact import Artifact
from runtimes.profile import HardwareProfile
from toolchain.candidates import BUILDERS, Candidate
from toolchain.destination import Destination
from toolchain.engines.ranges import DimensionRanges
from toolchain.model import OnnxModel
from toolchain.pack import Contents, pack
from toolchain.quantize import quantize
from toolchain.recipe import Recipe
from toolchain.standin import runnable


class Workshop:
    """One source model, its calibration samples, and the variants made so far, in a folder that goes away."""

    def __init__(
        self,
        name: str,
        model: OnnxModel,
        calibration: Dataset | None,
        folder: Path,
        ranges: tuple[DimensionRanges, ...] = (),
    ) -> None:
        self.name, self.model, self._ranges = name, model, ranges
        self._calibration, self._folder = calibration, folder
        self._variants: dict[Recipe, OnnxModel] = {}
        self._bundles = 0

    def make(self, candidate: Candidate, profile: HardwareProfile) -> tuple[Path, Artifact]:
        """A candidate's bundle, without golden samples, and its artifact; the bundle of an engine that cannot run here
        holds a stand-in that computes the same graph.

        Raises:
            EdgewrightError: the recipe does not apply to this model, or the runtime's builder fails.
        """
        variant = self._variant(candidate.recipe)
        folder = self._folder / f"candidate-{self._bundles}"
        self._bundles += 1
        folder.mkdir()
        builder = plugins.load(BUILDERS, candidate.runtime, "runtime")
        artifact: Artifact = builder.build(
            variant, candidate.recipe, candidate.settings, folder, Destination(profile, self._ranges)
        )
        bundle = folder / "candidate.edge"
        shown = runnable(artifact, variant, candidate.recipe, folder / "stand-in")
        pack(Contents(self.name, profile, shown, candidate.recipe, {}, {}), bundle)
        return bundle, artifact

    def _variant(self, recipe: Recipe) -> OnnxModel:
        """Several profiles and runtimes may ask for one recipe; it is made once."""
        if recipe not in self._variants:
            file = self._folder / f"variant-{len(self._variants)}.onnx"
            self._variants[recipe] = quantize(self.model, recipe, self._calibration, file)
        return self._variants[recipe]
