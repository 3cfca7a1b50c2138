"""Whether an attempt will do, as far as that is known before there is a report to judge."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from hwbench.budgets.budget import Budget
from hwbench.budgets.verdicts import Verdict, judge
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.latency import Latency
from hwbench.measurements.report import Report
from hwbench.stats import intervals
from toolchain.search.attempts import Attempt, Bench, screened_latency

_COLLAPSED = 0.5  # of parity: the outputs' error is half as large as the outputs


@dataclass(frozen=True)
class Acceptance:
    """Judges attempts by a build's budgets: by the evaluation data, and before that by the ranking data."""

    budgets: tuple[Budget, ...]
    bench: Bench

    def is_right(self, attempt: Attempt) -> bool:
        """Whether it may be chosen, by what is known of it."""
        return self.meets(attempt) and self.is_out(attempt) is None

    def meets(self, attempt: Attempt) -> bool:
        """Whether every accuracy budget passes; or where so few samples cannot, whether the figure is within it."""
        accuracy = attempt.ranked if attempt.accuracy is None and self.ranks_by_same_metric else attempt.accuracy
        return accuracy is not None and all(
            verdict.outcome == "pass" or (verdict.outcome == "inconclusive" and _is_hopeless(verdict, accuracy))
            for verdict in self._verdicts(attempt, accuracy)
        )

    def is_met(self, attempt: Attempt) -> bool:
        """Whether an attempt that was scored and timed passes every budget, as far as can be told by now."""
        assert attempt.artifact is not None
        report = self._report(attempt, latency=attempt.latency, accuracy=attempt.accuracy)
        rest = judge(report, self._without_accuracy)
        return self.meets(attempt) and all(verdict.outcome == "pass" for verdict in rest)

    def breaks(self, attempt: Attempt) -> bool:
        """Whether its score on the evaluation data breaks an accuracy budget for sure."""
        return attempt.accuracy is not None and _told(self._verdicts(attempt, attempt.accuracy)) is not None

    def is_wrong(self, attempt: Attempt) -> str | None:
        """What its score on the ranking data breaks for sure, as long as it has no better one; None where nothing.

        Where the two data are scored by different metrics, closeness to the source tells noise alone, and on random
        inputs not even that.
        """
        ranked = attempt.ranked
        if ranked is None or attempt.accuracy is not None or attempt.is_source:
            return None
        if self.ranks_by_same_metric:
            return _told(self._verdicts(attempt, ranked), " on the calibration data")
        real = self.bench.workshop.calibration is not None
        wrong = real and ranked.metric == "parity" and ranked.value < _COLLAPSED
        return f"its outputs are off by more than half (parity {ranked.value:.2g})" if wrong else None

    def is_out(self, attempt: Attempt) -> str | None:
        """What it breaks for sure, by its rank's score, its size, and what was timed so far; None where nothing."""
        return self.is_wrong(attempt) or self._broken(attempt, self._without_accuracy)

    def small_enough(self, running: Sequence[Attempt]) -> list[Attempt]:
        """Let go what is too large to be chosen. The source stays, to compare with, and all do where none is small."""
        size = [budget for budget in self.budgets if budget.quantity == "size"]
        large = {attempt.name: why for attempt in running if (why := self._broken(attempt, size))}
        return [
            dataclasses.replace(attempt, dropped=large[attempt.name])
            if attempt.name in large and len(large) < len(running) and not attempt.is_source
            else attempt
            for attempt in running
        ]

    @property
    def ranks_by_same_metric(self) -> bool:
        """Whether the ranking data is scored as the evaluation data is."""
        return self.bench.ranking.metric.name == self.bench.trial.metric.name

    @property
    def _without_accuracy(self) -> list[Budget]:
        return [budget for budget in self.budgets if not budget.quantity.startswith("accuracy")]

    def _broken(self, attempt: Attempt, budgets: Sequence[Budget]) -> str | None:
        """What it breaks for sure by now; None where nothing."""
        if attempt.artifact is None:
            return None
        report = self._report(attempt, latency=attempt.latency or screened_latency(attempt))
        return _told(judge(report, budgets))

    def _verdicts(self, attempt: Attempt, accuracy: Accuracy) -> tuple[Verdict, ...]:
        budgets = [budget for budget in self.budgets if budget.quantity.startswith("accuracy")]
        return judge(self._report(attempt, accuracy=accuracy), budgets)

    def _report(self, attempt: Attempt, latency: Latency | None = None, accuracy: Accuracy | None = None) -> Report:
        assert attempt.artifact is not None
        return Report(self.bench.workshop.name, "", attempt.artifact, self.bench.machine, latency, accuracy)


def _told(verdicts: Sequence[Verdict], where: str = "") -> str | None:
    """What fails, and why; None where nothing does."""
    failed = [verdict for verdict in verdicts if verdict.outcome == "fail"]
    return "; ".join(f"{verdict.budget.text}: {verdict.reason}{where}" for verdict in failed) or None


def _is_hopeless(verdict: Verdict, accuracy: Accuracy) -> bool:
    """Whether even a model that agreed on every sample would be inconclusive, and this one is within the limit."""
    if verdict.measured is None:
        return False
    value, limit = verdict.measured.value, verdict.budget.limit
    within = value <= limit if verdict.budget.is_upper else value >= limit
    return within and accuracy.proportion and intervals.reach_without_disagreement(accuracy.n) > limit
