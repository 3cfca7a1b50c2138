"""Entries of the report, made once the search and the choice are over: one per candidate that was tried."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

from hwbench.budgets import BUILD_CONFIDENCE
from hwbench.budgets.budget import Budget
from hwbench.budgets.verdicts import judge
from hwbench.data.dataset import Dataset
from hwbench.measurements.report import Report
from hwbench.results.profile_results import ENDED_BEFORE_TIMING, CandidateResult, Screening, Search
from hwbench.wording import count, kept, some
from runtimes import samples
from runtimes.codec import encode
from runtimes.errors import EdgewrightError, UsageError
from runtimes.npz import open_arrays
from runtimes.profile import HardwareProfile
from toolchain.calibration.sample_drift import drift_warning
from toolchain.candidates.build_cache import CachedTarget
from toolchain.candidates.candidate import Candidate
from toolchain.graphs.product_precision import by_precision
from toolchain.models.data_dependent import data_dependent_outputs
from toolchain.models.onnx_model import load_ir
from toolchain.pipeline.device_match import DeviceMatch
from toolchain.pipeline.machine_peaks import with_peaks
from toolchain.recipes.recipe import Recipe
from toolchain.search.choose import Decision, JudgedTrial
from toolchain.search.trials import BuildContext, Trial
from toolchain.sources.sizes import batches

_ENOUGH_CALIBRATION = 32  # samples: with fewer, a range is that of a few inputs
_DRIFT_S = 2.0  # for each of two sets of samples
_LAST_S = 0.5  # the same, where the user has waited long enough


@dataclasses.dataclass(frozen=True)
class ReportedTrial:
    """A trial that was scored or measured, with its report."""

    judged: JudgedTrial
    report: Report


def report_trial(
    trial: Trial,
    profile: HardwareProfile,
    match: DeviceMatch,
    budgets: Sequence[Budget],
    context: BuildContext,
    confidence: float = BUILD_CONFIDENCE,
) -> ReportedTrial | None:
    """Judge a trial by its figures; None if it was not built, or was rejected before it was scored."""
    if trial.failure is not None or trial.artifact is None or (trial.rejected is not None and trial.accuracy is None):
        return None
    unscored = {} if trial.accuracy else {"accuracy": "the search ended before it was scored"}
    why_untimed = ENDED_BEFORE_TIMING if context.clock.stopped else "not measured"
    untimed = {} if trial.latency else {"latency": why_untimed if match.is_here else match.caveats[0]}
    report = Report(
        model=context.builder.name,
        profile=profile.name,
        artifact=trial.artifact,
        machine=context.machine,
        latency=trial.latency,
        accuracy=trial.accuracy,
        unmeasured={**unscored, **untimed},
        candidate=trial.name,
    )
    report = _with_work(report, trial.candidate.recipe, context)
    return ReportedTrial(JudgedTrial(trial, judge(report, budgets, confidence=confidence)), report)


def report_entry(
    trial: Trial, reported: ReportedTrial | None, decision: Decision | None, context: BuildContext
) -> CandidateResult:
    """Describe a trial for the report: its status, the reason, its figures and the verdict on each budget.

    Args:
        trial: the trial.
        reported: its report; None if `report_trial` returned None.
        decision: what `choose` decided, for a trial that could be selected; None for others.
        context: the parts that candidates share.
    """
    candidate, recipe = trial.candidate, encode(trial.candidate.recipe)
    names = (candidate.name, candidate.recipe.precision, candidate.runtime)
    if trial.failure is not None or trial.artifact is None:
        reason = trial.failure or ""
        return CandidateResult(*names, "not built", reason, recipe=recipe, settings=candidate.settings)
    reasons = (decision.reason if decision else "", trial.rejected, trial.behind, trial.remark, kept(recipe))
    entry = CandidateResult(
        *names,
        status=decision.status if decision else "rejected",
        reason="; ".join(filter(None, reasons)),
        recipe=recipe,
        screening=_screening(trial),
        settings=candidate.settings,
    )
    if reported is None:
        return entry
    graph = load_ir(context.builder.variant(candidate.recipe).path)
    layers = by_precision(graph, candidate.recipe.keep_in) if trial.artifact.size_bytes else {}
    return dataclasses.replace(entry, report=reported.report, verdicts=reported.judged.verdicts, layers=layers)


def _with_work(report: Report, recipe: Recipe, context: BuildContext) -> Report:
    """Add the model's work and this machine's peaks; unknown peaks are measured now if there is time left."""
    try:
        arrays, inputs = open_arrays(context.inferences), report.artifact.inputs
        middle = samples.count(inputs, arrays) // 2 if report.artifact.states else 0  # a cache is half full there
        feeds = next(itertools.islice(samples.feeds(inputs, arrays), middle, None))
        artifact = dataclasses.replace(report.artifact, work=context.builder.work(recipe, feeds))
        report = dataclasses.replace(report, artifact=artifact)
    except EdgewrightError as error:
        report = dataclasses.replace(report, unmeasured={**report.unmeasured, "work": str(error)})
    with context.clock.phase():
        return with_peaks(report, recall_only=context.clock.is_over())
    return with_peaks(report, recall_only=True)


def _screening(trial: Trial) -> Screening | None:
    rank, p50_ms = trial.ranked, trial.median_ms
    if rank is None:
        return Screening(p50_ms=p50_ms) if p50_ms is not None else None
    return Screening(rank.metric, rank.value, rank.n, p50_ms, rank.higher_is_better)


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


def search_summary(trials: Sequence[Trial], context: BuildContext) -> Search:
    """Count the candidates that the search made, tried and scored, and the measurements that it reused."""
    return Search(
        looks=sum(trial.accuracy is not None for trial in trials),
        made=sum(trial.artifact is not None for trial in trials),
        tried=sum(bool(trial.ranked or trial.blocks or trial.accuracy or trial.latency) for trial in trials),
        reused=context.target.reused if isinstance(context.target, CachedTarget) else 0,
        stopped=context.clock.stopped,
    )


def search_notes(found: Search) -> tuple[str, ...]:
    """Write notes on a search that was stopped, or that reused measurements."""
    notes = [f"{found.stopped}; a candidate that it had not tried by then may be better."] if found.stopped else []
    if found.reused:
        notes.append(
            f"An earlier build on this machine made {found.reused:,} of the latency measurements; --fresh measures "
            "again."
        )
    return tuple(notes)
