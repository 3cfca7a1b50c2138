"""Trials, which are candidates on their way through a search, and the context that all of them share."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hwbench.data.dataset import Dataset
from hwbench.machine.identity import Machine
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.latency import Latency
from hwbench.progress import Tick
from hwbench.targets import Target
from runtimes.bundles.manifest import Artifact
from runtimes.sampling.closed_loop import Block
from toolchain.candidates.build_candidate import CandidateBuilder
from toolchain.candidates.candidate import Candidate
from toolchain.candidates.other_sizes import OtherSizes
from toolchain.candidates.scoring import Scorer
from toolchain.candidates.unlabelled import Unlabelled
from toolchain.search.time_limit import TimeLimit

REFERENCE_RUNTIME = "onnxruntime"
"""Runtime of the reference: on every profile, accuracy is compared with that of the source on this runtime."""


@dataclass(frozen=True)
class BuildContext:
    """Parts that every candidate of a build shares.

    Attributes:
        builder: makes candidates of the source.
        scorer: the metric and the evaluation samples, by which candidates are accepted.
        ranking: the metric and the samples that the search orders candidates by, so that it leaves the evaluation
            samples alone.
        timed: an .npz of the samples that latency is measured with.
        steps: of a model with states, an .npz of single steps of these samples.
        unlabelled: further samples without labels, which help to decide on accuracy; None without any.
        other_sizes: resized samples, which every accepted candidate computes, too; None if the source takes one size.
        machine: this machine.
        target: measures bundles.
        tick: shows progress after each step, with a word about it.
        clock: the time limit.
        calibration: the calibration samples; of a model with states, whole sequences. None if there are none.
    """

    builder: CandidateBuilder
    scorer: Scorer
    ranking: Scorer
    timed: Path
    machine: Machine
    target: Target
    tick: Tick
    clock: TimeLimit = field(default_factory=TimeLimit)
    other_sizes: OtherSizes | None = None
    steps: Path | None = None
    unlabelled: Unlabelled | None = None
    calibration: Dataset | None = None

    @property
    def inferences(self) -> Path:
        """An .npz of single inferences: the samples that latency is measured with, or steps of theirs."""
        return self.steps or self.timed

    def is_source(self, candidate: Candidate) -> bool:
        """Tell whether a candidate is the source as it is, which loses no accuracy."""
        as_is = (candidate.recipe, candidate.runtime) == (self.builder.as_is, REFERENCE_RUNTIME)
        return as_is and not candidate.variant


@dataclass(frozen=True)
class Trial:
    """A candidate with everything that the search has found out so far.

    Attributes:
        failure: the reason why it was not built, or could not be run.
        bundle: the file that is measured.
        artifact: the artifact that would ship; None until it was made.
        ranked: its score on the ranking samples.
        blocks: the blocks that screening measured.
        rejected: the reason why the search rejected it; None if it is still in the search.
        accuracy: its score on the evaluation samples.
        latency: its latency as a finalist; after the search, that of screening for others.
        behind: the reason why it was measured no further as a finalist; None if it was measured to the end.
        fits_other_sizes: it was run at other sizes of the dynamic dimensions, and is right there.
        remark: a further remark for the report, such as why int8 is slower than float.
        is_source: it is the source as it is.
        stands_in: the reason why the bundle holds a stand-in for an engine, whose latency says nothing; None if the
            bundle holds the artifact.
        computed_by: what computes the bundle's outputs on this machine, if not the device's kernels.
        device_bundle: the artifact in a bundle, which the emulated device ran; None if it ran none.
        is_draft: its bundle is a draft, to be timed alone; it is made anew before it is scored.
    """

    candidate: Candidate
    failure: str | None = None
    bundle: Path = Path()
    artifact: Artifact | None = None
    ranked: Accuracy | None = None
    blocks: tuple[Block, ...] = ()
    rejected: str | None = None
    accuracy: Accuracy | None = None
    latency: Latency | None = None
    behind: str | None = None
    fits_other_sizes: bool = False
    remark: str = ""
    is_source: bool = False
    stands_in: str | None = None
    computed_by: str = ""
    device_bundle: Path | None = None
    is_draft: bool = False

    @property
    def name(self) -> str:
        """The candidate's name."""
        return self.candidate.name

    @property
    def is_running(self) -> bool:
        """True if it neither failed nor was rejected."""
        return self.failure is None and self.rejected is None

    @property
    def computation(self) -> tuple[object, ...]:
        """The file and the settings that its outputs depend on: not the threads, which only share the work."""
        return self.candidate.recipe, self.candidate.runtime, frozenset(self.candidate.settings.options.items())

    @property
    def median_ms(self) -> float | None:
        """The median over screening's blocks of each block's median latency."""
        return statistics.median(medians_ms(self.blocks)) if self.blocks else None

    @property
    def speed_ms(self) -> float | None:
        """The p50 as a finalist if it was one, else that of screening."""
        if self.latency is not None:
            return statistics.median(medians_ms(self.latency.blocks))
        return self.median_ms

    @property
    def screened_latency(self) -> Latency | None:
        """The latency that screening measured, as a report holds it."""
        return self.latency_of(self.blocks) if self.blocks else None

    def latency_of(self, blocks: tuple[Block, ...]) -> Latency:
        """Make a latency from blocks of this trial."""
        return Latency("single_stream", blocks[0].batch, self.candidate.settings.threads, blocks)

    def computes_in(self, precision: str) -> bool:
        """Tell whether it was made and computes in a precision, by its graph or by its runtime's settings."""
        recipe = self.candidate.recipe
        stored = recipe.precision.endswith("-storage") and recipe.keep_in == precision
        return (recipe.precision == precision or stored) and self.artifact is not None


def medians_ms(blocks: Iterable[Block]) -> list[float]:
    """Compute each block's median latency, in milliseconds."""
    return [statistics.median(block.samples_ns) / 1e6 for block in blocks]
