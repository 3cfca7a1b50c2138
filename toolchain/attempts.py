"""Candidates on their way through a build: made, then scored, then timed; or failed, and why."""

from __future__ import annotations

import dataclasses
import errno
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwbench import measure
from hwbench.accuracy import Accuracy
from hwbench.latency import Latency
from hwbench.machine import Machine
from hwbench.measure import Tick
from hwbench.targets import Target
from runtimes.artifact import Artifact
from runtimes.errors import EdgewrightError
from runtimes.profile import HardwareProfile
from runtimes.sampling import SamplingPlan
from runtimes.tensors import Array
from toolchain.candidates import Candidate
from toolchain.files import disk_full
from toolchain.trial import Trial
from toolchain.workshop import Workshop

REFERENCE_RUNTIME = "onnxruntime"
"""Where the source runs as it is, whatever the profile: every accuracy is compared with that."""


@dataclass(frozen=True)
class Bench:
    """What every candidate of a build shares."""

    workshop: Workshop
    trial: Trial
    timed: Path
    machine: Machine
    target: Target
    tick: Tick


@dataclass(frozen=True)
class Attempt:
    """A candidate, and how far it came; `failure` says why it came no further."""

    candidate: Candidate
    failure: str | None = None
    bundle: Path = Path()
    artifact: Artifact | None = None
    outputs: dict[str, Array] = dataclasses.field(default_factory=dict)
    accuracy: Accuracy | None = None
    latency: Latency | None = None


def attempt(candidate: Candidate, profile: HardwareProfile, bench: Bench) -> Attempt:
    """Make a candidate and score its outputs. What goes wrong is its failure, and costs the others nothing.

    Raises:
        OSError: the disk is full.
    """
    if candidate.refusal is not None:
        return Attempt(candidate, candidate.refusal)
    try:
        bundle, artifact = bench.workshop.make(candidate, profile)
        bench.tick(f"made {candidate.name}")
        outputs = measure.outputs(bundle, bench.trial.samples.file, bench.target)
        is_source = (candidate.recipe, candidate.runtime) == (bench.workshop.as_is, REFERENCE_RUNTIME)
        scored = bench.trial.score(outputs, is_source=is_source)
        bench.tick(f"scored {candidate.name}")
    except EdgewrightError as error:
        _check_disk(str(error))
        return Attempt(candidate, str(error))
    except OSError:
        raise
    except Exception as error:  # a defect of ours in one candidate must not cost the user the others
        return Attempt(candidate, f"internal error, please report it: {type(error).__name__}: {error}")
    return Attempt(candidate, None, bundle, artifact, outputs, scored)


def time_attempts(attempts: Sequence[Attempt], bench: Bench, plan: SamplingPlan) -> list[Attempt]:
    """Measure the latency of those that came this far, interleaved.

    Raises:
        OSError: the disk is full.
    """
    running = {a.candidate.name: a for a in attempts if a.failure is None}
    bundles = {name: attempt.bundle for name, attempt in running.items()}
    settings = {name: attempt.candidate.settings for name, attempt in running.items()}
    inputs = dict.fromkeys(running, bench.timed)
    timed = measure.latency(bundles, settings, inputs, bench.target, plan, bench.tick)
    return [_with_latency(attempt, timed.get(attempt.candidate.name)) for attempt in attempts]


def _with_latency(attempt: Attempt, latency: Latency | str | None) -> Attempt:
    if isinstance(latency, Latency):
        return dataclasses.replace(attempt, latency=latency)
    _check_disk(latency or "")
    return dataclasses.replace(attempt, failure=attempt.failure or latency)


def _check_disk(failure: str) -> None:
    """A full disk fails whichever candidate comes next, so it says nothing about one.

    Raises:
        OSError: a measuring process met a full disk.
    """
    if os.strerror(errno.ENOSPC) in failure:
        raise disk_full(Path(tempfile.gettempdir()))
