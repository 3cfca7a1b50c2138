"""Candidates on their way through a build: made and ranked, screened, scored, timed; or failed or let go, and why."""

from __future__ import annotations

import dataclasses
import errno
import os
import statistics
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hwbench.machine.identity import Machine
from hwbench.measurements import interleaved
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.latency import Latency
from hwbench.progress import Tick
from hwbench.targets import Target
from runtimes.bundles.manifest import Artifact
from runtimes.errors import EdgewrightError, UnsupportedError
from runtimes.profile import HardwareProfile
from runtimes.sampling.closed_loop import Block, SamplingPlan
from runtimes.tensors import Array
from toolchain.candidates.build_candidate import CandidateBuilder
from toolchain.candidates.candidate import Candidate
from toolchain.candidates.scoring import Scorer
from toolchain.output_folder import disk_full
from toolchain.search.time_limit import TimeLimit

REFERENCE_RUNTIME = "onnxruntime"
"""Where the source runs as it is, whatever the profile: every accuracy is compared with that."""


Finish = Callable[[], "Trial"]
"""The rest of a step, for the main thread: it calls the user's metric, which need not bear another."""


@dataclass(frozen=True)
class BuildContext:
    """What every candidate of a build shares.

    Attributes:
        trial: what candidates are accepted on: the evaluation data.
        ranking: what the search orders them by, which the evaluation data is not looked at for.
        timed: samples to time with.
    """

    builder: CandidateBuilder
    scorer: Scorer
    ranking: Scorer
    timed: Path
    machine: Machine
    target: Target
    tick: Tick
    clock: TimeLimit = field(default_factory=TimeLimit)

    def is_source(self, candidate: Candidate) -> bool:
        """Whether a candidate is the source as it is, which nothing is lost by."""
        as_is = (candidate.recipe, candidate.runtime) == (self.builder.as_is, REFERENCE_RUNTIME)
        return as_is and not candidate.variant


@dataclass(frozen=True)
class Trial:
    """A candidate, and how far it came.

    Attributes:
        failure: why it came no further.
        ranked: its score on the ranking data.
        blocks: what screening measured.
        rejected: why the search let it go.
        accuracy: its score on the evaluation data.
        latency: what was measured of it as a finalist, or else in screening.
        behind: why it was measured no further as a finalist; None if it was measured to the end.
        remark: what more there is to say, such as why it did not pay.
        is_source: it is the source as it is.
        stands_in: why the bundle holds a stand-in for an engine, whose latency then says nothing; None if it does not.
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
    remark: str = ""
    is_source: bool = False
    stands_in: str | None = None

    @property
    def name(self) -> str:
        """The candidate's."""
        return self.candidate.name

    @property
    def is_running(self) -> bool:
        """Neither failed nor let go."""
        return self.failure is None and self.rejected is None

    @property
    def median_ms(self) -> float | None:
        """The median over screening's processes of each one's median."""
        return statistics.median(medians_ms(self.blocks)) if self.blocks else None

    @property
    def speed_ms(self) -> float | None:
        """Its p50, by its best measurement."""
        if self.latency is not None:
            return statistics.median(medians_ms(self.latency.blocks))
        return self.median_ms

    def computes_in(self, precision: str) -> bool:
        """Whether its graph says so, or its runtime is told so and reads stored weights."""
        recipe = self.candidate.recipe
        stored = recipe.precision.endswith("-storage") and recipe.keep_in == precision
        return (recipe.precision == precision or stored) and self.artifact is not None


def medians_ms(blocks: Iterable[Block]) -> list[float]:
    """What each process measured: its median."""
    return [statistics.median(block.samples_ns) / 1e6 for block in blocks]


def make(candidate: Candidate, profile: HardwareProfile, context: BuildContext) -> Trial:
    """Make a candidate. What goes wrong costs the others nothing.

    Raises:
        OSError: the disk is full.
    """
    if candidate.refusal is not None:
        return Trial(candidate, candidate.refusal)

    def made(trial: Trial) -> Trial:
        made = context.builder.make(candidate, profile)
        context.tick(f"made {candidate.name}")
        return dataclasses.replace(trial, bundle=made.bundle, artifact=made.artifact, stands_in=made.stands_in)

    return _guarded(Trial(candidate, is_source=context.is_source(candidate)), made)


def rank(trial: Trial, context: BuildContext) -> Finish:
    """Run a candidate on the ranking data; what is given back scores it.

    Raises:
        OSError: the disk is full.
    """

    def ranked(trial: Trial, outputs: Mapping[str, Array]) -> Trial:
        context.tick(f"ranked {trial.name}")
        return dataclasses.replace(trial, ranked=context.ranking.score(outputs))

    if trial.failure or trial.ranked:
        return lambda: trial
    if trial.is_source:
        return lambda: dataclasses.replace(trial, ranked=context.ranking.source())
    return _run(trial, context, context.ranking, ranked)


def score(trial: Trial, context: BuildContext) -> Finish:
    """Run a candidate on the evaluation data; what is given back scores it.

    Raises:
        OSError: the disk is full.
    """

    def scored(trial: Trial, outputs: Mapping[str, Array]) -> Trial:
        context.tick(f"scored {trial.name}")
        return dataclasses.replace(trial, accuracy=context.scorer.score(outputs))

    if trial.failure or trial.accuracy:
        return lambda: trial
    if trial.is_source:
        return lambda: dataclasses.replace(trial, accuracy=context.scorer.source())
    return _run(trial, context, context.scorer, scored)


def screen(trial: Trial, context: BuildContext, plan: SamplingPlan) -> Trial:
    """Measure one more short block.

    Raises:
        OSError: the disk is full.
    """

    def sampled(trial: Trial) -> Trial:
        block = context.target.sample(trial.bundle, context.timed, plan)
        context.tick(f"screened {trial.name}")
        return dataclasses.replace(trial, blocks=(*trial.blocks, block))

    return _guarded(trial, sampled)


def time_once(trial: Trial, context: BuildContext, plan: SamplingPlan) -> Trial:
    """Measure one more block of a finalist.

    Raises:
        OSError: the disk is full.
    """

    def timed(trial: Trial) -> Trial:
        block = context.target.sample(trial.bundle, context.timed, plan)
        context.tick(f"measured {trial.name}")
        before = trial.latency.blocks if trial.latency is not None else ()
        return dataclasses.replace(trial, latency=_latency(trial, (*before, block)))

    return _guarded(trial, timed)


def screened_latency(trial: Trial) -> Latency | None:
    """What screening measured, as a report holds it."""
    return _latency(trial, trial.blocks) if trial.blocks else None


def _latency(trial: Trial, blocks: tuple[Block, ...]) -> Latency:
    return Latency("single_stream", blocks[0].batch, trial.candidate.settings.threads, blocks)


def _run(
    trial: Trial, context: BuildContext, scorer: Scorer, finish: Callable[[Trial, Mapping[str, Array]], Trial]
) -> Finish:
    outputs: dict[str, Array] = {}

    def ran(trial: Trial) -> Trial:
        try:
            outputs.update(interleaved.outputs(trial.bundle, scorer.samples.file, context.target))
        except EdgewrightError as error:
            if trial.stands_in is None:
                raise
            raise UnsupportedError(f"Its engine cannot run here, and nor can what stands in for it: {error}") from error
        return trial

    after = _guarded(trial, ran)
    return lambda: after if after.failure else _guarded(after, lambda trial: finish(trial, outputs))


def _guarded(trial: Trial, step: Callable[[Trial], Trial]) -> Trial:
    try:
        return step(trial)
    except EdgewrightError as error:
        _check_disk(str(error))
        return dataclasses.replace(trial, failure=str(error))
    except OSError:
        raise
    except Exception as error:  # a defect of ours in one candidate must not cost the user the others
        return dataclasses.replace(trial, failure=f"internal error, please report it: {type(error).__name__}: {error}")


def _check_disk(failure: str) -> None:
    """A full disk fails whichever candidate comes next, so it says nothing about one.

    Raises:
        OSError: a measuring process met a full disk.
    """
    if os.strerror(errno.ENOSPC) in failure:
        raise disk_full(Path(tempfile.gettempdir()))
