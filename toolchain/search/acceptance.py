"""Whether an attempt will do, as far as that is known before there is a report to judge."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from hwbench.budgets.budget import Budget
from hwbench.budgets.verdicts import Verdict, judge
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.latency import Latency
from hwbench.measurements.report import Figures
from hwbench.stats import intervals
from toolchain.search.trials import BuildContext, Trial, screened_latency

_COLLAPSED = 0.5  # of parity: the outputs' error is half as large as the outputs


@dataclass(frozen=True)
class Acceptance:
    """Judges attempts by a build's budgets: by the evaluation data, and before that by the ranking data."""

    budgets: tuple[Budget, ...]
    context: BuildContext

    def is_right(self, trial: Trial) -> bool:
        """Whether it may be chosen, by what is known of it."""
        return self.meets(trial) and self.is_out(trial) is None

    def meets(self, trial: Trial) -> bool:
        """Whether every accuracy budget passes; or where so few samples cannot, whether the figure is within it."""
        accuracy = trial.ranked if trial.accuracy is None and self.ranks_by_same_metric else trial.accuracy
        return accuracy is not None and all(
            verdict.outcome == "pass" or (verdict.outcome == "inconclusive" and _is_hopeless(verdict, accuracy))
            for verdict in self._verdicts(trial, accuracy)
        )

    def is_met(self, trial: Trial) -> bool:
        """Whether an attempt that was scored and timed passes every budget, as far as can be told by now."""
        figures = _figures(trial, latency=trial.latency, accuracy=trial.accuracy)
        rest = judge(figures, self._without_accuracy)
        return self.meets(trial) and all(verdict.outcome == "pass" for verdict in rest)

    def breaks(self, trial: Trial) -> bool:
        """Whether its score on the evaluation data breaks an accuracy budget for sure."""
        return trial.accuracy is not None and _told(self._verdicts(trial, trial.accuracy)) is not None

    def is_wrong(self, trial: Trial) -> str | None:
        """What its score on the ranking data breaks for sure, as long as it has no better one; None where nothing.

        Where the two data are scored by different metrics, closeness to the source tells noise alone, and on random
        inputs not even that.
        """
        ranked = trial.ranked
        if ranked is None or trial.accuracy is not None or trial.is_source:
            return None
        if self.ranks_by_same_metric:
            return _told(self._verdicts(trial, ranked), " on the calibration data")
        real = self.context.builder.calibration is not None
        wrong = real and ranked.metric == "parity" and ranked.value < _COLLAPSED
        return f"its outputs are off by more than half (parity {ranked.value:.2g})" if wrong else None

    def is_out(self, trial: Trial) -> str | None:
        """What it breaks for sure, by its rank's score, its size, and what was timed so far; None where nothing."""
        return self.is_wrong(trial) or self._broken(trial, self._without_accuracy)

    def small_enough(self, running: Sequence[Trial]) -> list[Trial]:
        """Let go what is too large to be chosen. The source stays, to compare with, and all do where none is small."""
        size = [budget for budget in self.budgets if budget.quantity == "size"]
        large = {trial.name: why for trial in running if (why := self._broken(trial, size))}
        return [
            dataclasses.replace(trial, rejected=large[trial.name])
            if trial.name in large and len(large) < len(running) and not trial.is_source
            else trial
            for trial in running
        ]

    @property
    def ranks_by_same_metric(self) -> bool:
        """Whether the ranking data is scored as the evaluation data is."""
        return self.context.ranking.metric.name == self.context.scorer.metric.name

    @property
    def _without_accuracy(self) -> list[Budget]:
        return [budget for budget in self.budgets if not budget.quantity.startswith("accuracy")]

    def _broken(self, trial: Trial, budgets: Sequence[Budget]) -> str | None:
        """What it breaks for sure by now; None where nothing."""
        if trial.artifact is None:
            return None
        return _told(judge(_figures(trial, latency=trial.latency or screened_latency(trial)), budgets))

    def _verdicts(self, trial: Trial, accuracy: Accuracy) -> tuple[Verdict, ...]:
        budgets = [budget for budget in self.budgets if budget.quantity.startswith("accuracy")]
        return judge(_figures(trial, accuracy=accuracy), budgets)


def _figures(trial: Trial, latency: Latency | None = None, accuracy: Accuracy | None = None) -> Figures:
    assert trial.artifact is not None
    return Figures(trial.artifact.size_bytes, latency, accuracy)


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
