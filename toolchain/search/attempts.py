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
from toolchain.candidates.build_candidate import Workshop
from toolchain.candidates.candidate import Candidate
from toolchain.candidates.scoring import Trial
from toolchain.output_folder import disk_full
from toolchain.search.time_limit import Clock

REFERENCE_RUNTIME = "onnxruntime"
"""Where the source runs as it is, whatever the profile: every accuracy is compared with that."""


Finish = Callable[[], "Attempt"]
"""The rest of a step, for the main thread: it calls the user's metric, which need not bear another."""


@dataclass(frozen=True)
class Bench:
    """What every candidate of a build shares.

    Attributes:
        trial: what candidates are accepted on: the evaluation data.
        ranking: what the search orders them by, which the evaluation data is not looked at for.
        timed: samples to time with.
    """

    workshop: Workshop
    trial: Trial
    ranking: Trial
    timed: Path
    machine: Machine
    target: Target
    tick: Tick
    clock: Clock = field(default_factory=Clock)

    def is_source(self, candidate: Candidate) -> bool:
        """Whether a candidate is the source as it is, which nothing is lost by."""
        as_is = (candidate.recipe, candidate.runtime) == (self.workshop.as_is, REFERENCE_RUNTIME)
        return as_is and not candidate.variant


@dataclass(frozen=True)
class Attempt:
    """A candidate, and how far it came.

    Attributes:
        failure: why it came no further.
        ranked: its score on the ranking data.
        blocks: what screening measured.
        dropped: why the search let it go.
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
    dropped: str | None = None
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
        return self.failure is None and self.dropped is None

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


def make(candidate: Candidate, profile: HardwareProfile, bench: Bench) -> Attempt:
    """Make a candidate. What goes wrong costs the others nothing.

    Raises:
        OSError: the disk is full.
    """
    if candidate.refusal is not None:
        return Attempt(candidate, candidate.refusal)

    def made(tried: Attempt) -> Attempt:
        made = bench.workshop.make(candidate, profile)
        bench.tick(f"made {candidate.name}")
        return dataclasses.replace(tried, bundle=made.bundle, artifact=made.artifact, stands_in=made.stands_in)

    return _guarded(Attempt(candidate, is_source=bench.is_source(candidate)), made)


def rank(attempt: Attempt, bench: Bench) -> Finish:
    """Run a candidate on the ranking data; what is given back scores it.

    Raises:
        OSError: the disk is full.
    """

    def ranked(tried: Attempt, outputs: Mapping[str, Array]) -> Attempt:
        bench.tick(f"ranked {tried.name}")
        return dataclasses.replace(tried, ranked=bench.ranking.score(outputs))

    if attempt.failure or attempt.ranked:
        return lambda: attempt
    if attempt.is_source:
        return lambda: dataclasses.replace(attempt, ranked=bench.ranking.source())
    return _run(attempt, bench, bench.ranking, ranked)


def score(attempt: Attempt, bench: Bench) -> Finish:
    """Run a candidate on the evaluation data; what is given back scores it.

    Raises:
        OSError: the disk is full.
    """

    def scored(tried: Attempt, outputs: Mapping[str, Array]) -> Attempt:
        bench.tick(f"scored {tried.name}")
        return dataclasses.replace(tried, accuracy=bench.trial.score(outputs))

    if attempt.failure or attempt.accuracy:
        return lambda: attempt
    if attempt.is_source:
        return lambda: dataclasses.replace(attempt, accuracy=bench.trial.source())
    return _run(attempt, bench, bench.trial, scored)


def screen(attempt: Attempt, bench: Bench, plan: SamplingPlan) -> Attempt:
    """Measure one more short block.

    Raises:
        OSError: the disk is full.
    """

    def sampled(tried: Attempt) -> Attempt:
        block = bench.target.sample(tried.bundle, bench.timed, plan)
        bench.tick(f"screened {tried.name}")
        return dataclasses.replace(tried, blocks=(*tried.blocks, block))

    return _guarded(attempt, sampled)


def time_once(attempt: Attempt, bench: Bench, plan: SamplingPlan) -> Attempt:
    """Measure one more block of a finalist.

    Raises:
        OSError: the disk is full.
    """

    def timed(tried: Attempt) -> Attempt:
        block = bench.target.sample(tried.bundle, bench.timed, plan)
        bench.tick(f"measured {tried.name}")
        before = tried.latency.blocks if tried.latency is not None else ()
        return dataclasses.replace(tried, latency=_latency(tried, (*before, block)))

    return _guarded(attempt, timed)


def screened_latency(attempt: Attempt) -> Latency | None:
    """What screening measured, as a report holds it."""
    return _latency(attempt, attempt.blocks) if attempt.blocks else None


def _latency(attempt: Attempt, blocks: tuple[Block, ...]) -> Latency:
    return Latency("single_stream", blocks[0].batch, attempt.candidate.settings.threads, blocks)


def _run(
    attempt: Attempt, bench: Bench, trial: Trial, finish: Callable[[Attempt, Mapping[str, Array]], Attempt]
) -> Finish:
    outputs: dict[str, Array] = {}

    def ran(tried: Attempt) -> Attempt:
        try:
            outputs.update(interleaved.outputs(tried.bundle, trial.samples.file, bench.target))
        except EdgewrightError as error:
            if tried.stands_in is None:
                raise
            raise UnsupportedError(f"Its engine cannot run here, and nor can what stands in for it: {error}") from error
        return tried

    after = _guarded(attempt, ran)
    return lambda: after if after.failure else _guarded(after, lambda tried: finish(tried, outputs))


def _guarded(attempt: Attempt, step: Callable[[Attempt], Attempt]) -> Attempt:
    try:
        return step(attempt)
    except EdgewrightError as error:
        _check_disk(str(error))
        return dataclasses.replace(attempt, failure=str(error))
    except OSError:
        raise
    except Exception as error:  # a defect of ours in one candidate must not cost the user the others
        return dataclasses.replace(
            attempt, failure=f"internal error, please report it: {type(error).__name__}: {error}"
        )


def _check_disk(failure: str) -> None:
    """A full disk fails whichever candidate comes next, so it says nothing about one.

    Raises:
        OSError: a measuring process met a full disk.
    """
    if os.strerror(errno.ENOSPC) in failure:
        raise disk_full(Path(tempfile.gettempdir()))
