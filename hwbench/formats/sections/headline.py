"""Headline of a profile: the selected candidate and its figures in words."""

from __future__ import annotations

from hwbench.budgets.outcome import Outcome
from hwbench.budgets.verdicts import Verdict
from hwbench.formats.sections.rows import Row, label, show
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.quantities import of_metric
from hwbench.results.profile_results import CandidateResult, ProfileResult


def outcome(result: ProfileResult) -> str:
    """Return the profile's outcome; "measured" if there was no budget to pass."""
    return "measured" if result.outcome == "pass" and not result.budgets else result.outcome


def headline(result: ProfileResult, table: tuple[Row, ...]) -> str:
    """Describe the selected candidate with its figures, in one sentence without a full stop."""
    selected = selected_row(table)
    if selected is None:
        return none_selected(result)
    if selected.candidate.report is None:
        return f"{label(selected.candidate)} was not measured: {selected.candidate.reason}".rstrip(".")
    parts = [
        speed_line(selected, reference(table)),
        accuracy_line(selected),
        origin(selected),
        *budgets_line(selected.candidate.verdicts),
    ]
    return f"{label(selected.candidate)}: {', '.join(part for part in parts if part)}"


def selected_row(table: tuple[Row, ...]) -> Row | None:
    """Find the row of `ProfileResult.selected`."""
    return next((row for row in table if row.candidate.status in ("selected", "measured")), None)


def reference(table: tuple[Row, ...]) -> Row | None:
    """Find the candidate to compare with: fp32 on the same runtime, any fp32, or the only other one."""
    selected = selected_row(table)
    others = [row for row in table if row.figures and row is not selected]
    fp32 = [row for row in others if row.candidate.precision == "fp32"]
    same_runtime = [row for row in fp32 if selected is not None and row.candidate.runtime == selected.candidate.runtime]
    return next(iter(same_runtime or fp32 or (others if len(others) == 1 else [])), None)


def speedup(row: Row, against: Row | None, quantity: str) -> str:
    """Compare two latencies: "2.1x faster"."""
    return _compare(row, against, quantity, better="{times} faster", worse="{times} slower")


def saving(row: Row, against: Row | None, quantity: str) -> str:
    """Compare two sizes: "74% less"."""
    return _compare(row, against, quantity, better="{share:.0%} less", worse="{excess:.0%} more")


def in_percent(accuracy: Accuracy) -> bool:
    """Tell whether the metric is a share of correct answers, which is shown in percent."""
    return accuracy.scores is not None and set(accuracy.scores) <= {0.0, 1.0}


def scored(row: Row) -> list[tuple[str, Accuracy]]:
    """List the metrics that have a figure, each with its key among the figures; "" is that of the first one."""
    accuracy = row.candidate.report.accuracy if row.candidate.report is not None else None
    each = accuracy.each if accuracy is not None else ()
    keyed = [(one.metric if number else "", one) for number, one in enumerate(each)]
    return [(key, one) for key, one in keyed if of_metric("accuracy", key) in row.figures]


def share(row: Row, accuracy: Accuracy, key: str = "") -> str:
    """Write the accuracy in percent, or in the metric's own unit."""
    value = row.figures[of_metric("accuracy", key)].value
    return f"{value:.1%}" if in_percent(accuracy) else show("accuracy", value)


def drop(row: Row, accuracy: Accuracy, key: str = "") -> str:
    """Write the loss of accuracy: "drop 0.1 points", "gain 0.1 points", "no drop"; empty without a reference."""
    figure = row.figures.get(of_metric("accuracy_drop", key))
    if figure is None:
        return ""
    points = in_percent(accuracy)
    lost = f"{abs(figure.value) * 100:.1f}" if points else show("accuracy", abs(figure.value))
    if not lost.strip("0."):
        return "no drop"
    return f"{'drop' if figure.value > 0 else 'gain'} {lost}{' points' if points else ''}"


def verdicts(result: ProfileResult) -> tuple[tuple[CandidateResult, Verdict], ...]:
    """List the verdicts of the selected candidate; if none was selected, those of all, since they are the reason."""
    candidates = result.candidates if result.selected is None else (result.selected,)
    return tuple(
        (candidate, verdict)
        for candidate in candidates
        if candidate.report is not None
        for verdict in candidate.verdicts
    )


def none_selected(result: ProfileResult) -> str:
    """Say why no candidate was selected."""
    measured = [candidate for candidate in result.candidates if candidate.report is not None]
    if not measured:
        reasons = {candidate.reason for candidate in result.candidates}
        why = f": {reasons.pop().rstrip('.')}" if len(reasons) == 1 else ""
        return f"Nothing was measured for {result.profile}{why}"
    if result.outcome == "fail":
        return f"No candidate meets the budgets: of {len(measured)} judged, each breaks at least one"
    return f"No candidate was selected: of {len(measured)} judged, none is sure to meet the budgets"


def speed_line(row: Row, against: Row | None) -> str:
    """Say how fast a candidate is, and compare it: "2.7x faster than fp32 at p50 (0.0461 ms)"."""
    latency = row.candidate.report.latency if row.candidate.report is not None else None
    if latency is not None and latency.scenario in ("server", "offline"):
        return f"{latency.scenario} {show('throughput', row.figures['throughput'].value)} per s"
    if "p50" not in row.figures:
        measured = row.candidate.report is not None and row.candidate.report.latency is not None
        return f"no p50 ({row.missing['p50']})" if measured else "latency not measured"
    shown = f"{show('p50', row.figures['p50'].value)} ms"
    compared = speedup(row, against, "p50")
    if not compared or against is None:
        return f"p50 {shown}"
    than = "than" if compared[0].isdigit() else "from"
    return f"{compared} {than} {against.name} at p50 ({shown})"


def accuracy_line(row: Row) -> str:
    """Say how accurate a candidate is, and how much it lost: "accuracy 98.8% (no drop)"; empty if unknown."""
    found = scored(row)
    return ", ".join(_accuracy_line(row, accuracy, key, alone=len(found) == 1) for key, accuracy in found)


def origin(row: Row) -> str:
    """Say that the accuracy was not measured with the other figures; empty if it was, or is unknown."""
    report = row.candidate.report
    return "scored by its build" if report is not None and report.scored_on is not None else ""


def _accuracy_line(row: Row, accuracy: Accuracy, key: str, *, alone: bool) -> str:
    name = "accuracy" if in_percent(accuracy) and alone else accuracy.metric
    lost = drop(row, accuracy, key)
    return f"{name} {share(row, accuracy, key)}" + (f" ({lost})" if lost else "")


def budgets_line(judged: tuple[Verdict, ...]) -> list[str]:
    """Say in parts which budgets pass, fail or are inconclusive; empty without a budget."""
    outcomes = {verdict.outcome for verdict in judged}
    if not outcomes:
        return []
    if outcomes == {"pass"}:
        passed = {1: "its budget", 2: "both budgets"}.get(len(judged), f"all {len(judged)} budgets")
        default = "".join(f" ({verdict.budget.text} by default)" for verdict in judged if verdict.budget.is_default)
        return [f"passes {passed}{default}"]
    parts = [f"fails {_tally(judged, 'fail')}"] if "fail" in outcomes else []
    return parts + ([f"inconclusive on {_tally(judged, 'inconclusive')}"] if "inconclusive" in outcomes else [])


def _tally(judged: tuple[Verdict, ...], which: Outcome) -> str:
    """Count budgets and name them: "1 of 2 budgets (p90<=20ms)"."""
    names = [verdict.budget.text for verdict in judged if verdict.outcome == which]
    return f"{len(names)} of {len(judged)} budget{'s' if len(judged) > 1 else ''} ({', '.join(names)})"


def _compare(row: Row, against: Row | None, quantity: str, *, better: str, worse: str) -> str:
    """Fill in one of two forms; empty if either figure is missing.

    The text is "no clear difference" if the interval of the ratio holds 1. This interval divides opposite ends of the
    two figures' intervals, so that it holds for any dependence.
    """
    if against is None or against.candidate is row.candidate:
        return ""
    ours, theirs = row.figures.get(quantity), against.figures.get(quantity)
    if ours is None or theirs is None or min(ours.low, theirs.low) <= 0:
        return ""
    if theirs.low / ours.high <= 1 <= theirs.high / ours.low:
        return "no clear difference" if ours != theirs else "the same"
    small, large = sorted((ours.value, theirs.value))
    form = better if ours.value < theirs.value else worse
    return form.format(times=_times(large / small), share=1 - small / large, excess=large / small - 1)


def _times(times: float) -> str:
    return f"{times:.1f}x" if times < 9.95 else f"{times:,.0f}x"
