"""Builder of candidates: it quantizes, builds and packs each as a bundle, so that the file that ships is measured."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import onnx_ir as ir

from hwbench.data.dataset import Dataset
from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine, this_machine
from hwbench.measurements import interleaved
from runtimes import cpu
from runtimes.bundles.input_limits import InputLimits
from runtimes.bundles.manifest import Artifact
from runtimes.bundles.states import States
from runtimes.bundles.work import Work
from runtimes.cache import Cache
from runtimes.errors import UsageError
from runtimes.profile import HardwareProfile
from runtimes.tensors import Feeds
from toolchain.analysis.count_work import computed_in, work_of
from toolchain.analysis.half_errors import half_sensitivity
from toolchain.analysis.int8_errors import sensitivity
from toolchain.builders import builder
from toolchain.calibration import table_cache
from toolchain.calibration.sample_drift import SampleDrift, sample_drift
from toolchain.calibration.table import CalibrationTable
from toolchain.candidates.candidate import Candidate
from toolchain.candidates.emulated_engine import is_foreign, obstacle, stand_in
from toolchain.candidates.source_recipe import as_is
from toolchain.engines.build_target import BuildTarget
from toolchain.engines.shape_ranges import DimensionRanges
from toolchain.models.onnx_model import OnnxModel, is_quantized, load_ir, open_model
from toolchain.models.prepare import prepare
from toolchain.packaging.pack import Contents, pack
from toolchain.quantizers import half_quantizer, range_quantizer
from toolchain.recipes.apply_recipe import (
    SOURCE_PRECISION,
    CalibratedGraph,
    calibrate_graph,
    calibration_key,
    check_table,
    keep_in_float,
    quantize,
)
from toolchain.recipes.draft import DRAFT_SAMPLES, draft_of
from toolchain.recipes.recipe import Recipe

_MAKERS = ("onnx", "onnx-ir", "onnxruntime", "onnxconverter-common", "numpy", "ml-dtypes", "scipy")


@dataclass(frozen=True)
class BuiltCandidate:
    """A candidate that was made.

    Attributes:
        bundle: the bundle that is measured, without golden samples.
        artifact: the artifact that would ship.
        stands_in: the reason why an engine cannot run on this machine, so that the bundle holds the same graph on ONNX
            Runtime; None if the bundle holds the artifact, or the same file under exact settings.
        computed_by: what computes the bundle's outputs on this machine, if not the device's kernels.
    """

    bundle: Path
    artifact: Artifact
    stands_in: str | None
    computed_by: str = ""


class CandidateBuilder:
    """A source model, its calibration samples, and the variants made so far, in a temporary folder.

    Args:
        name: the model's name, which bundles carry.
        model: the source.
        calibration: the calibration samples, if there are any.
        folder: the folder for variants and candidates.
        table: ranges to use instead of observed ones.
        variants: the cache of variants that earlier builds made; None for no cache.
        ranges: the sizes of dynamic dimensions, for engines; one mapping per optimization profile.
        states: the model's states, if it has any; its calibration samples are single steps nevertheless.
        limits: the limits of its inputs, which bundles record.
        machine: the machine that runs candidates; this one, if None.

    Raises:
        UsageError: static int8 cannot use the table for this model.

    Attributes:
        as_is: the recipe that leaves the source as it is.
    """

    def __init__(
        self,
        name: str,
        model: OnnxModel,
        calibration: Dataset | None,
        folder: Path,
        table: CalibrationTable | None = None,
        variants: Cache | None = None,
        ranges: tuple[DimensionRanges, ...] = (),
        states: States | None = None,
        limits: InputLimits | None = None,
        machine: Machine | None = None,
    ) -> None:
        self.name, self.model, self.calibration = name, model, calibration
        self.states, self.limits = states or {}, limits or InputLimits()
        self._given_machine = machine
        self._folder, self._table, self._cache, self._ranges = folder, table, variants, ranges
        self.as_is = as_is(model)
        self._variants: dict[Recipe, OnnxModel] = {self.as_is: model}
        self._drafts: dict[Recipe, OnnxModel] = {}
        self._works: dict[Recipe, Work] = {}
        self._keys: dict[Recipe, tuple[str, Recipe]] = {}
        self._calibrations: dict[tuple[str, Recipe], CalibratedGraph] = {}
        self._bundles = 0
        self._source_bytes = 0
        if table is not None and self._prepared is not None:
            check_table(table, self._prepared)

    def make(self, candidate: Candidate, profile: HardwareProfile) -> BuiltCandidate:
        """Make a candidate; for another device than this machine, the bundle holds a stand-in for its graph.

        Raises:
            EdgewrightError: the recipe does not apply to this model, or the runtime's builder fails.
        """
        return self._made(candidate, profile, self.variant(candidate.recipe))

    def has_draft(self, recipe: Recipe) -> bool:
        """Tell whether a draft of a recipe's candidate is made much sooner than the candidate."""
        is_new = _graph_of(recipe) not in self._variants
        return is_new and self.calibration is not None and self._draft_of(recipe) is not None

    def make_draft(self, candidate: Candidate, profile: HardwareProfile) -> BuiltCandidate:
        """Make a draft of a candidate that `has_draft`, to be timed and not to be scored; see `recipes/draft.py`.

        Raises:
            EdgewrightError: as in `make`.
        """
        recipe = self._draft_of(candidate.recipe)
        assert recipe is not None and self._few is not None and self._prepared is not None
        graph = _graph_of(recipe)
        if graph not in self._drafts:
            ready = calibrate_graph(self._prepared, graph, self._few, self._table)
            file = self._folder / f"draft-{len(self._drafts)}.onnx"
            self._drafts[graph] = quantize(self.model, graph, self._few, file, calibrated=ready)
        return self._made(dataclasses.replace(candidate, recipe=recipe), profile, self._drafts[graph])

    def _made(self, candidate: Candidate, profile: HardwareProfile, variant: OnnxModel) -> BuiltCandidate:
        folder = self._folder / f"candidate-{self._bundles}"
        self._bundles += 1
        folder.mkdir()
        artifact = builder(candidate.runtime).build(
            variant, candidate.recipe, candidate.settings, folder, BuildTarget(profile, self._ranges)
        )
        self._check_size(candidate, artifact)
        artifact = dataclasses.replace(artifact, states=self.states, limits=self.limits)
        bundle = folder / "candidate.edge"
        reason = obstacle(artifact)
        shown = own = artifact
        if reason is not None or is_foreign(artifact, profile, self._machine):
            shown = stand_in(artifact, variant, candidate.recipe, folder / "stand-in")
            shown = dataclasses.replace(shown, states=self.states, limits=self.limits)
        pack(Contents(self.name, profile, shown, candidate.recipe, {}, {}), bundle)
        return BuiltCandidate(bundle, artifact, reason, self._computed_by(profile, is_exact=shown is not own))

    def _check_size(self, candidate: Candidate, artifact: Artifact) -> None:
        """Refuse a storage precision that makes a file larger: small weights save less than their nodes take."""
        recipe, size = candidate.recipe, artifact.size_bytes
        if recipe == self.as_is:
            self._source_bytes = max(self._source_bytes, size)
        elif recipe.precision.endswith("-storage") and recipe.keep_in == "fp32" and size > self._source_bytes > 0:
            raise UsageError(
                f"{recipe.precision} would make the file larger: {size / 1e6:.3g} instead of "
                f"{self._source_bytes / 1e6:.3g} MB."
            )

    def _computed_by(self, profile: HardwareProfile, *, is_exact: bool) -> str:
        if is_exact:
            return "exact arithmetic"
        return device_profiles.other_kernels(profile, self._machine)

    @cached_property
    def _machine(self) -> Machine:
        return self._given_machine or this_machine()

    @property
    def source_sha256(self) -> str:
        """The SHA-256 of the source model, which bundles carry."""
        return self.model.source_sha256 or self.model.sha256

    def kept(self, recipe: Recipe) -> tuple[str, ...]:
        """List the nodes that had to be left in the source's precision for a variant to run."""
        recipe = _graph_of(recipe)
        return self._variants[recipe].kept if recipe in self._variants else ()

    def work(self, recipe: Recipe, feeds: Feeds) -> Work:
        """Count what one inference of a candidate computes and moves, at the shapes of these feeds.

        Raises:
            UsageError: ONNX Runtime cannot run its graph on this machine.
        """
        graph = _graph_of(recipe)
        if graph not in self._works:
            self._works[graph] = work_of(self.variant(graph), feeds)
        return computed_in(self._works[graph], recipe.keep_in)

    def sensitivity(self, recipe: Recipe) -> tuple[str, ...]:
        """Rank the nodes that a recipe computes in a lower precision by their own error, the largest first.

        Raises:
            UsageError: there are no calibration samples, or they do not fit.
        """
        samples, known = self.calibration, self._calibrated(recipe)
        if samples is None or known is None:
            raise UsageError(
                "Errors are measured on calibration samples, and there are none; give --calibration FILE.npz."
            )
        if recipe.precision == "int8":
            return sensitivity(known, recipe, samples)
        half = half_quantizer(recipe.precision)
        nodes = half.half_nodes(known.model, known.ranges)
        return half_sensitivity(known.model, nodes, half.HALF, samples)

    def drift(self, evaluation: Dataset, longest_s: float) -> tuple[SampleDrift, ...]:
        """Compare the values of what int8 quantizes in evaluation samples with those in the calibration samples.

        Args:
            evaluation: the samples that accuracy is computed on.
            longest_s: as in `sample_drift`.

        Returns:
            The drift of each tensor; nothing if no range was observed on samples, or if they are steps of sequences,
            which are too alike to be told from drift.

        Raises:
            UsageError: ONNX Runtime fails on a sample.
        """
        if self._prepared is None or self.calibration is None or self._table is not None or self.states:
            return ()
        tensors = range_quantizer("int8").tensors(self._prepared, Recipe("int8"))
        return sample_drift(self._prepared, tensors, self.calibration, evaluation, longest_s)

    def layers(self) -> tuple[str, ...]:
        """List the names of the source's nodes, as recipes keep them."""
        graph = self._prepared or load_ir(self.model.path)
        return tuple(str(node.name) for node in graph.graph)

    def variant(self, recipe: Recipe) -> OnnxModel:
        """Make the model of a recipe, once for all profiles and runtimes that ask for it.

        Raises:
            EdgewrightError: the recipe does not apply to this model.
        """
        recipe = _graph_of(recipe)
        if recipe not in self._variants:
            file = self._folder / f"variant-{len(self._variants)}.onnx"
            self._variants[recipe] = self._known(recipe, file) or self._quantized(recipe, file)
        return self._variants[recipe]

    def _quantized(self, recipe: Recipe, file: Path) -> OnnxModel:
        made = quantize(
            self.model,
            recipe,
            self.calibration,
            file,
            calibrated=self._calibrated(recipe) if recipe.precision != SOURCE_PRECISION else None,
        )
        alone = len(list(file.parent.glob(f"{file.name}*"))) == 1  # large weights lie in a second file
        if self._cache is not None and made.path == file and alone and not made.kept:
            self._cache.put(self._key(recipe), file.read_bytes())
        return made

    def _calibrated(self, recipe: Recipe) -> CalibratedGraph | None:
        """Correct and calibrate once for recipes that differ in the nodes they keep, or in what changes no graph.

        Returns:
            None for a quantized source.
        """
        if self._prepared is None:
            return None
        base = dataclasses.replace(recipe, keep=(), keep_in="fp32")
        if base not in self._keys:
            self._keys[base] = calibration_key(self._prepared, base)
        key = self._keys[base]
        if key not in self._calibrations:
            self._calibrations[key] = calibrate_graph(
                self._prepared, base, self.calibration, self._table, table_cache.open_cache()
            )
        return keep_in_float(self._calibrations[key], recipe.keep)

    def _known(self, recipe: Recipe, file: Path) -> OnnxModel | None:
        """Write a variant of an earlier build to a file; None if the cache has none."""
        known = self._cache.get(self._key(recipe)) if self._cache is not None else None
        if known is None:
            return None
        file.write_bytes(known)
        try:
            return dataclasses.replace(open_model(file), source_sha256=self.source_sha256)
        except UsageError:
            assert self._cache is not None
            self._cache.discard(self._key(recipe), "holds no model")
            return None

    def _draft_of(self, recipe: Recipe) -> Recipe | None:
        return draft_of(recipe, self._prepared) if self._prepared is not None else None

    @cached_property
    def _few(self) -> Dataset | None:
        """The samples for drafts; None without calibration samples."""
        if self.calibration is None:
            return None
        some = self.calibration.first(DRAFT_SAMPLES, sys.maxsize)
        return interleaved.subset(self.calibration, some, self._folder / "draft-samples.npz")

    def _key(self, recipe: Recipe) -> tuple[object, ...]:
        data = self.calibration.sha256() if self.calibration is not None else None
        makers = {name: version(name) for name in _MAKERS}
        # Float kernels of two processors differ in the last bits, and so do the ranges and corrections that they give.
        processor = cpu.arch(), *sorted(cpu.isa_flags())
        return "variant", self.model.sha256, recipe, data, self._table, makers, processor

    @cached_property
    def _prepared(self) -> ir.Model | None:
        """The source's graph, prepared once for all recipes; None for a source that is quantized already."""
        return None if is_quantized(load_ir(self.model.path)) else prepare(self.model)


def _graph_of(recipe: Recipe) -> Recipe:
    """Reduce a recipe to the part that makes the graph, without what only the runtime is told."""
    return dataclasses.replace(recipe, keep_in="fp32")
