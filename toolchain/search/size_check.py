"""Check of trials at other sizes than those of the samples, before one of them may be selected."""

from __future__ import annotations

import dataclasses

from hwbench.measurements import interleaved
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import EdgewrightError
from toolchain.builders import builder
from toolchain.candidates.other_sizes import OtherSizes
from toolchain.search.state import SearchState
from toolchain.search.trials import Trial


def check_sizes(state: SearchState, trial: Trial) -> Trial:
    """Reject a trial that is wrong at other sizes, unless its runtime is right when it compiles each shape that comes.

    The trial then has the settings for that. Its latency and score stay, since they are those of a form for one shape.
    The source needs no check, and an engine has ranges of its own.

    Raises:
        OSError: the disk is full.
    """
    sizes = state.context.other_sizes
    is_engine = trial.artifact is not None and trial.artifact.plan is not None and trial.stands_in is None
    if sizes is None or not trial.is_running or trial.is_source or is_engine:
        return trial
    fault = _fault(state, trial, sizes)
    if fault is None:
        return trial
    each_shape = builder(trial.candidate.runtime).EACH_SHAPE
    if each_shape and trial.stands_in is None:
        settings = trial.candidate.settings
        settings = RuntimeSettings(settings.threads, {**settings.options, **each_shape})
        made = state.context.builder.make(dataclasses.replace(trial.candidate, settings=settings), state.profile)
        other = dataclasses.replace(
            trial,
            candidate=dataclasses.replace(trial.candidate, settings=settings),
            bundle=made.bundle,
            artifact=made.artifact,
            remark=f"every shape is compiled for itself, as in a form for all {fault}",
        )
        if _fault(state, other, sizes) is None:
            return other
    return dataclasses.replace(trial, rejected=f"wrong at other sizes: {fault}")


def _fault(state: SearchState, trial: Trial, sizes: OtherSizes) -> str | None:
    try:
        outputs = interleaved.outputs(trial.bundle, sizes.data.file, state.context.target)
    except EdgewrightError as error:
        return f"it fails: {error}"
    finally:
        state.context.tick(f"checked {trial.name} at other sizes")
    return sizes.fault(outputs)
