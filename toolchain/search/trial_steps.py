"""Steps of a trial: make it, score it, check it at other sizes, measure a block.

A failure becomes part of the trial, and others go on.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from hwbench.measurements import interleaved
from hwbench.measurements.accuracy import Accuracy, computed_by
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.errors import EdgewrightError, UnsupportedError
from runtimes.profile import HardwareProfile
from runtimes.sample_arrays import Rows
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.builders import builder
from toolchain.candidates.candidate import Candidate
from toolchain.candidates.other_sizes import OtherSizes
from toolchain.output_folder import disk_full
from toolchain.search.trials import BuildContext, Trial

Samples = Literal["ranking", "evaluation"]
"""Samples that a trial is scored on."""

Finish = Callable[[], Trial]
"""Rest of a step, for the main thread: it calls the user's metric, which may not be safe in other threads."""


def make(candidate: Candidate, profile: HardwareProfile, context: BuildContext, *, as_draft: bool = False) -> Trial:
    """Make a candidate.

    Args:
        candidate: the candidate.
        profile: the device.
        context: the parts that candidates share.
        as_draft: make a draft where there is one (`recipes/draft.py`).

    Raises:
        OSError: the disk is full.
    """
    if candidate.refusal is not None:
        return Trial(candidate, candidate.refusal)

    as_draft = as_draft and context.builder.has_draft(candidate.recipe)

    def made(trial: Trial) -> Trial:
        made = (context.builder.make_draft if as_draft else context.builder.make)(candidate, profile)
        context.tick(f"made {candidate.name}")
        return dataclasses.replace(
            trial,
            bundle=made.bundle,
            artifact=made.artifact,
            stands_in=made.stands_in,
            computed_by=made.computed_by,
            is_draft=as_draft,
        )

    return _guarded(Trial(candidate, is_source=context.is_source(candidate)), made)


def score(trial: Trial, context: BuildContext, samples: Samples) -> Finish:
    """Run a trial on samples, in any thread; the returned function scores its outputs.

    A trial that failed, or that has this score already, is returned as it is. The source is not run: its score is
    known.

    Raises:
        OSError: the disk is full.
    """
    scorer = context.ranking if samples == "ranking" else context.scorer
    if trial.failure or is_scored(trial, samples):
        return lambda: trial
    if trial.is_source:
        return lambda: _with_score(trial, samples, scorer.source())
    outputs: dict[str, Rows] = {}

    def ran(trial: Trial) -> Trial:
        try:
            outputs.update(interleaved.outputs(trial.bundle, scorer.samples.file, context.target))
        except EdgewrightError as error:
            if trial.stands_in is None:
                raise
            raise UnsupportedError(f"Neither its engine nor the stand-in for it can run here: {error}") from error
        return trial

    def scored(trial: Trial) -> Trial:
        context.tick(f"{'ranked' if samples == 'ranking' else 'scored'} {trial.name}")
        found = computed_by(scorer.score(outputs), trial.computed_by)
        if samples == "evaluation" and context.unlabelled is not None:
            found = context.unlabelled.settle(
                found, lambda file: interleaved.outputs(trial.bundle, file, context.target)
            )
        return _with_score(trial, samples, found)

    after = _guarded(trial, ran)
    return lambda: after if after.failure else _guarded(after, scored)


def is_scored(trial: Trial, samples: Samples) -> bool:
    """Tell whether a trial has a score on these samples."""
    return (trial.ranked if samples == "ranking" else trial.accuracy) is not None


def with_score_of(trial: Trial, other: Trial, samples: Samples) -> Trial:
    """Give a trial the score, or the failure, of another one that computes the same."""
    found = other.ranked if samples == "ranking" else other.accuracy
    return dataclasses.replace(trial, failure=other.failure) if found is None else _with_score(trial, samples, found)


def check_sizes(trial: Trial, profile: HardwareProfile, context: BuildContext) -> Trial:
    """Reject a trial that is wrong at other sizes, unless its runtime is right when it compiles each shape that comes.

    The trial then has the settings for that. Its latency and score stay, since they are those of a form for one shape.
    The source needs no check, and an engine has ranges of its own.

    Raises:
        OSError: the disk is full.
    """
    sizes = context.other_sizes
    if sizes is None or not has_unchecked_sizes(trial, context):
        return trial
    fault = _fault(trial, context, sizes)
    if fault is None:
        return dataclasses.replace(trial, fits_other_sizes=True)
    each_shape = builder(trial.candidate.runtime).EACH_SHAPE
    if each_shape and trial.stands_in is None and not _grows(trial.artifact):
        settings = trial.candidate.settings
        settings = RuntimeSettings(settings.threads, {**settings.options, **each_shape})
        made = make(dataclasses.replace(trial.candidate, settings=settings), profile, context)
        if made.failure is None and _fault(made, context, sizes) is None:
            return dataclasses.replace(
                trial,
                candidate=made.candidate,
                bundle=made.bundle,
                artifact=made.artifact,
                remark=f"every shape is compiled for itself, as in a form for all {fault}",
                fits_other_sizes=True,
            )
    return dataclasses.replace(trial, rejected=f"wrong at other sizes: {fault}")


def has_unchecked_sizes(trial: Trial, context: BuildContext) -> bool:
    """Tell whether `check_sizes` would run a trial."""
    is_engine = trial.artifact is not None and trial.artifact.plan is not None and trial.stands_in is None
    is_exempt = trial.fits_other_sizes or trial.is_source or is_engine
    return context.other_sizes is not None and trial.is_running and not is_exempt


def sample(trial: Trial, context: BuildContext, plan: SamplingPlan, *, final: bool) -> Trial:
    """Measure one more block.

    Args:
        trial: a candidate that was made.
        context: the parts that candidates share.
        plan: the length of the block.
        final: add it to the latency that the report shows; else to screening's blocks.

    Raises:
        OSError: the disk is full.
    """

    def measured(trial: Trial) -> Trial:
        block = context.target.sample(trial.bundle, context.timed, plan)
        context.tick(f"{'measured' if final else 'screened'} {trial.name}")
        if not final:
            return dataclasses.replace(trial, blocks=(*trial.blocks, block))
        before = trial.latency.blocks if trial.latency is not None else ()
        return dataclasses.replace(trial, latency=trial.latency_of((*before, block)))

    return _guarded(trial, measured)


def _fault(trial: Trial, context: BuildContext, sizes: OtherSizes) -> str | None:
    try:
        outputs = interleaved.outputs(trial.bundle, sizes.data.file, context.target)
    except EdgewrightError as error:
        return f"it fails: {error}"
    finally:
        context.tick(f"checked {trial.name} at other sizes")
    return sizes.fault(outputs)


def _grows(artifact: Artifact | None) -> bool:
    """Tell whether a state changes its shape with every step, as a KV cache does: each would be compiled anew."""
    if artifact is None:
        return False
    inputs = {spec.name: spec.shape for spec in artifact.inputs}
    outputs = {spec.name: spec.shape for spec in artifact.outputs}
    return any(inputs[name] != outputs[output] for name, output in artifact.states.items())


def _with_score(trial: Trial, samples: Samples, found: Accuracy) -> Trial:
    if samples == "ranking":
        return dataclasses.replace(trial, ranked=found)
    return dataclasses.replace(trial, accuracy=found)


def _guarded(trial: Trial, step: Callable[[Trial], Trial]) -> Trial:
    try:
        return step(trial)
    except EdgewrightError as error:
        _check_disk(str(error))
        return dataclasses.replace(trial, failure=str(error))
    except OSError:
        raise
    except Exception as error:  # a defect of edgewright in one candidate must not cost the user the others
        return dataclasses.replace(trial, failure=f"internal error, please report it: {type(error).__name__}: {error}")


def _check_disk(failure: str) -> None:
    """Check that a failure is the candidate's own: a full disk would fail every later candidate, too.

    Raises:
        OSError: a measuring process met a full disk.
    """
    if os.strerror(errno.ENOSPC) in failure:
        raise disk_full(Path(tempfile.gettempdir()))
