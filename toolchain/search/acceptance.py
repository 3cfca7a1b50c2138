"""Whether an accuracy meets its budgets, before there is a report to judge."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from hwbench import gate, intervals
from hwbench.accuracy import Accuracy
from hwbench.budget import Budget
from hwbench.gate import Verdict
from hwbench.report import Report
from toolchain.search.attempts import Attempt, Bench, screened_latency


def meets(attempt: Attempt, accuracy: Accuracy, budgets: Sequence[Budget], bench: Bench) -> bool:
    """Whether every accuracy budget passes; or where so few samples cannot, whether the figure itself is within it."""
    return all(
        verdict.outcome == "pass" or (verdict.outcome == "inconclusive" and _is_hopeless(verdict, accuracy))
        for verdict in _verdicts(attempt, accuracy, budgets, bench)
    )


def breaks(attempt: Attempt, accuracy: Accuracy, budgets: Sequence[Budget], bench: Bench) -> bool:
    """Whether an accuracy budget fails."""
    return any(verdict.outcome == "fail" for verdict in _verdicts(attempt, accuracy, budgets, bench))


def broken(attempt: Attempt, budgets: Sequence[Budget], bench: Bench) -> str | None:
    """What of the budgets an attempt breaks for sure, by its size and what was timed by now; None where nothing."""
    if attempt.artifact is None:
        return None
    latency = attempt.latency or screened_latency(attempt)
    report = Report(bench.workshop.name, "", attempt.artifact, bench.machine, latency)
    failed = [verdict for verdict in gate.judge(report, _without_accuracy(budgets)) if verdict.outcome == "fail"]
    return "; ".join(f"{verdict.budget.text}: {verdict.reason}" for verdict in failed) or None


def small_enough(running: Sequence[Attempt], budgets: Sequence[Budget], bench: Bench) -> list[Attempt]:
    """Let go what is too large to be chosen. The source stays, to compare with, and so do all where none is small."""
    size = [budget for budget in budgets if budget.quantity == "size"]
    large = {attempt.name: why for attempt in running if (why := broken(attempt, size, bench))}
    return [
        dataclasses.replace(attempt, dropped=large[attempt.name])
        if attempt.name in large and len(large) < len(running) and not attempt.is_source
        else attempt
        for attempt in running
    ]


def is_met(attempt: Attempt, budgets: Sequence[Budget], bench: Bench) -> bool:
    """Whether an attempt that was scored and timed passes every budget, as far as can be told by now."""
    assert attempt.artifact is not None
    assert attempt.accuracy is not None
    report = Report(bench.workshop.name, "", attempt.artifact, bench.machine, attempt.latency, attempt.accuracy)
    rest = gate.judge(report, _without_accuracy(budgets))
    return meets(attempt, attempt.accuracy, budgets, bench) and all(verdict.outcome == "pass" for verdict in rest)


def _verdicts(attempt: Attempt, accuracy: Accuracy, budgets: Sequence[Budget], bench: Bench) -> tuple[Verdict, ...]:
    assert attempt.artifact is not None
    report = Report(bench.workshop.name, "", attempt.artifact, bench.machine, accuracy=accuracy)
    return gate.judge(report, [budget for budget in budgets if budget.quantity.startswith("accuracy")])


def _without_accuracy(budgets: Sequence[Budget]) -> list[Budget]:
    return [budget for budget in budgets if not budget.quantity.startswith("accuracy")]


def _is_hopeless(verdict: Verdict, accuracy: Accuracy) -> bool:
    """Whether even a model that agreed on every sample would be inconclusive, and this one is within the limit."""
    if verdict.measured is None:
        return False
    value, limit = verdict.measured.value, verdict.budget.limit
    within = value <= limit if verdict.budget.is_upper else value >= limit
    return within and accuracy.proportion and intervals.reach_without_disagreement(accuracy.n) > limit
