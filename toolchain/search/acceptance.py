"""Judgement of trials by the budgets during the search, before there is a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from hwbench.budgets import BUILD_CONFIDENCE
from hwbench.budgets.budget import Budget
from hwbench.budgets.verdicts import Verdict, judge
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.latency import Latency
from hwbench.measurements.report import Figures
from hwbench.stats.paired_proportions import PairedProportions
from toolchain.search.trials import BuildContext, Trial

_COLLAPSED = 0.5  # parity at which the outputs' error is half as large as the outputs


@dataclass(frozen=True)
class Acceptance:
    """Judge of trials by a build's budgets: on the evaluation samples, and before that on the ranking samples.

    Attributes:
        confidence: the confidence that a verdict on accuracy takes.
    """

    budgets: tuple[Budget, ...]
    context: BuildContext
    confidence: float = BUILD_CONFIDENCE

    def may_be_selected(self, trial: Trial) -> bool:
        """Tell whether a trial meets every accuracy budget, and breaks no other by its figures so far."""
        return self.meets_accuracy(trial) and self.broken_budgets(trial) is None

    def meets_accuracy(self, trial: Trial) -> bool:
        """Tell whether a trial's score meets every accuracy budget.

        A score within a limit is enough if there are too few samples for any model to pass.
        """
        accuracy = trial.ranked if trial.accuracy is None and self.ranks_by_same_metric else trial.accuracy
        return accuracy is not None and all(
            verdict.outcome == "pass" or (verdict.outcome == "inconclusive" and self._lacks_samples(verdict, accuracy))
            for verdict in self._verdicts(trial, accuracy)
        )

    def meets_all(self, trial: Trial) -> bool:
        """Tell whether a trial that was scored and timed meets every budget, by its measurements so far.

        As in `meets_accuracy`, a score within a limit is enough if there are too few samples for any model to pass.
        """
        rest = judge(_figures(trial, latency=trial.latency), self._without_accuracy)
        return self.meets_accuracy(trial) and all(verdict.outcome == "pass" for verdict in rest)

    def passes_all(self, trial: Trial) -> bool:
        """Tell whether a trial that was scored and timed was shown to meet every budget: each verdict is a pass."""
        accuracy = trial.accuracy
        is_accurate = accuracy is not None and all(one.outcome == "pass" for one in self._verdicts(trial, accuracy))
        return is_accurate and self.meets_all(trial)

    def breaks_accuracy(self, trial: Trial) -> bool:
        """Tell whether a trial's score on the evaluation samples certainly breaks an accuracy budget."""
        return trial.accuracy is not None and _failures(self._verdicts(trial, trial.accuracy)) is not None

    def broken_by_ranking(self, trial: Trial) -> str | None:
        """Name the budgets that a trial's score on the ranking samples certainly breaks; None if it breaks none.

        It names none once the trial has a score on the evaluation samples, which counts instead. If the two samples
        have different metrics, closeness to the source shows only outputs that are noise, and on random inputs nothing.
        """
        ranked = trial.ranked
        if ranked is None or trial.accuracy is not None or trial.is_source:
            return None
        if self.ranks_by_same_metric:
            return _failures(self._verdicts(trial, ranked), " on the calibration data")
        on_samples = self.context.builder.calibration is not None
        collapsed = on_samples and ranked.metric == "parity" and ranked.value < _COLLAPSED
        return f"its outputs are off by more than half (parity {ranked.value:.2g})" if collapsed else None

    def broken_budgets(self, trial: Trial) -> str | None:
        """Name the budgets that a trial certainly breaks by its ranking score, its size and its latency so far."""
        return self.broken_by_ranking(trial) or self._broken(trial, self._without_accuracy)

    def reject_too_large(self, running: Sequence[Trial]) -> list[Trial]:
        """Reject trials whose file is too large; the source stays for comparison, and all stay if all are too large."""
        size = [budget for budget in self.budgets if budget.quantity == "size"]
        too_large = {trial.name: why for trial in running if (why := self._broken(trial, size))}
        return [
            dataclasses.replace(trial, rejected=too_large[trial.name])
            if trial.name in too_large and len(too_large) < len(running) and not trial.is_source
            else trial
            for trial in running
        ]

    @property
    def ranks_by_same_metric(self) -> bool:
        """True if the ranking samples are scored by the metrics of the evaluation samples."""
        return self.context.ranking.names == self.context.scorer.names

    @property
    def _without_accuracy(self) -> list[Budget]:
        return [budget for budget in self.budgets if not budget.is_accuracy]

    def _broken(self, trial: Trial, budgets: Sequence[Budget]) -> str | None:
        """Name the budgets that a trial certainly breaks by its size and its latency so far; None if it breaks none."""
        if trial.artifact is None:
            return None
        return _failures(judge(_figures(trial, latency=trial.latency or trial.screened_latency), budgets))

    def _verdicts(self, trial: Trial, accuracy: Accuracy) -> tuple[Verdict, ...]:
        budgets = [budget for budget in self.budgets if budget.is_accuracy]
        return judge(_figures(trial, accuracy=accuracy), budgets, confidence=self.confidence)

    def _lacks_samples(self, verdict: Verdict, accuracy: Accuracy) -> bool:
        """Tell whether a figure within the limit is inconclusive only because there are too few samples for a pass.

        Even a model that agrees with the source on every sample would be inconclusive then.
        """
        scored = accuracy.of(verdict.budget.metric)
        if verdict.measured is None or scored is None or not scored.proportion:
            return False
        value, limit = verdict.measured.value, verdict.budget.limit
        within = value <= limit if verdict.budget.is_upper else value >= limit
        flips = dataclasses.replace(scored.flips, changed=0) if scored.flips is not None else None
        return within and PairedProportions(0, 0, scored.n, flips).at_most(limit) < self.confidence


def _figures(trial: Trial, latency: Latency | None = None, accuracy: Accuracy | None = None) -> Figures:
    assert trial.artifact is not None
    return Figures(trial.artifact.size_bytes, latency, accuracy)


def _failures(verdicts: Sequence[Verdict], where: str = "") -> str | None:
    """Join the budgets that fail and the reasons; None if none fails."""
    failed = [verdict for verdict in verdicts if verdict.outcome == "fail"]
    return "; ".join(f"{verdict.budget.text}: {verdict.reason}{where}" for verdict in failed) or None
