"""Notes of the report: what a reader has to know of the samples, the source and the search beside the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwbench.data.dataset import Dataset
from hwbench.results.profile_results import Search
from hwbench.wording import count, some
from runtimes.errors import UsageError
from toolchain.calibration.sample_drift import drift_warning
from toolchain.candidates.candidate import Candidate
from toolchain.models.data_dependent import data_dependent_outputs
from toolchain.models.onnx_model import load_ir
from toolchain.search.trials import BuildContext, Trial
from toolchain.sources.sizes import batches

_ENOUGH_CALIBRATION = 32  # samples: with fewer, a range is that of a few inputs
_DRIFT_S = 2.0  # for each of two sets of samples
_LAST_S = 0.5  # the same, where the user has waited long enough


def repair_notes(candidates: Sequence[Candidate], context: BuildContext) -> list[str]:
    """List the nodes that a repair left in the source's precision, a sentence per candidate."""
    return [
        f"{candidate.name} leaves {', '.join(kept)} as in the source, since ONNX Runtime refused it otherwise."
        for candidate in candidates
        if (kept := context.builder.kept(candidate.recipe))
    ]


def calibration_notes(trials: Sequence[Trial], context: BuildContext) -> list[str]:
    """Write a note on calibration samples that are too few to show the ranges of int8's tensors."""
    calibration = context.builder.calibration
    observed = any(trial.candidate.recipe.precision == "int8" and trial.artifact is not None for trial in trials)
    if calibration is None or calibration.n >= _ENOUGH_CALIBRATION or not observed:
        return []
    return [
        f"int8's ranges were observed on {count(calibration.n, 'calibration sample')}; values beyond them are clipped, "
        f"so give {_ENOUGH_CALIBRATION} or more."
    ]


def drift_notes(trials: Sequence[Trial], context: BuildContext) -> tuple[str, ...]:
    """Write a warning of tensors whose values in the evaluation samples are not those that int8 was calibrated on."""
    builder, evaluation = context.builder, context.scorer.samples
    has_int8 = any(trial.candidate.recipe.precision == "int8" and trial.artifact is not None for trial in trials)
    if not has_int8 or builder.calibration is None or evaluation.arrays is builder.calibration.arrays:
        return ()
    longest_s = _LAST_S if context.clock.stopped else _DRIFT_S
    with context.clock.phase():
        try:
            return drift_warning(builder.drift(evaluation, longest_s), [spec.name for spec in evaluation.specs])
        except UsageError as error:
            return (f"The evaluation samples were not compared with the calibration samples: {error}",)
    return ()


def size_notes(context: BuildContext) -> tuple[str, ...]:
    """Write notes on dimensions that have one size in all samples of a kind, and on the largest sizes."""
    calibration, scored = context.builder.calibration, context.scorer.samples
    if calibration is None:
        found = single_sizes(scored, "evaluation", "scored and timed")
    elif calibration.sizes == scored.sizes:
        found = single_sizes(scored, "calibration and evaluation", "calibrated, scored and timed")
    else:
        found = (
            *single_sizes(calibration, "calibration", "calibrated"),
            *single_sizes(scored, "evaluation", "scored and timed"),
        )
    return (*found, *_largest(context.builder.limits.sizes))


def single_sizes(data: Dataset, use: str, done: str) -> tuple[str, ...]:
    """Write a warning of dimensions, other than a batch, that have one size in all samples; none if there are none.

    What is calibrated and scored at one size may be wrong at others.

    Args:
        data: the samples.
        use: their name: "calibration", "evaluation".
        done: what they are used for, in a passive form: "scored and timed".
    """
    batch = batches(data.specs)
    single = [f"{name} = {sizes[0]}" for name, sizes in data.sizes.items() if len(sizes) == 1 and name not in batch]
    if not single:
        return ()
    return (
        f"All {use} samples have {' and '.join(single)}, so that is the size that was {done}; give samples of the "
        "sizes that the device will see.",
    )


def _largest(sizes: Mapping[str, int]) -> tuple[str, ...]:
    if not sizes:
        return ()
    listed = " and ".join(f"{name} = {size}" for name, size in sizes.items())
    return (f"The source takes {listed} at most; sessions refuse what is larger.",)


def data_dependent_notes(context: BuildContext) -> list[str]:
    """Write a note on outputs whose sizes depend on the data, where parity has to compare them."""
    found = data_dependent_outputs(load_ir(context.builder.model.path))
    if not found or context.scorer.names != ("parity",):
        return []
    op = next(iter(found.values()))
    return [
        f"The size of {some(list(found))} depends on the data ({op}). Parity compares the elements that a candidate "
        "and the source have, in order, and counts the others as wrong; to compare what the network itself computes, "
        f"cut the model before {op}, or give labels and a metric; --output-rows N makes the size fixed."
    ]


def search_notes(found: Search) -> tuple[str, ...]:
    """Write notes on a search that was stopped, or that reused measurements."""
    notes = [f"{found.stopped}; a candidate that it had not tried by then may be better."] if found.stopped else []
    if found.reused:
        notes.append(
            f"An earlier build on this machine made {found.reused:,} of the latency measurements; --fresh measures "
            "again."
        )
    return tuple(notes)
