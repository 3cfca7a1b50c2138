"""Samples without labels, which show how often a candidate decides differently from the source."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hwbench.budgets.budget import Budget
from hwbench.budgets.verdicts import judge
from hwbench.data.dataset import Dataset
from hwbench.measurements.accuracy import Accuracy, joined
from hwbench.measurements.report import Figures
from hwbench.metrics import Metric
from hwbench.stats.paired_proportions import Flips
from runtimes.errors import UsageError
from runtimes.sample_arrays import Rows
from runtimes.tensors import Array

Run = Callable[[Path], Mapping[str, Rows]]
"""Computes the outputs of a model for the samples of a file."""


@dataclass
class Unlabelled:
    """Samples without labels, run on the source and on a candidate only if that can change a verdict.

    Attributes:
        samples: the samples.
        metrics: the metrics of the evaluation samples, in their order.
        budgets: the limits of the build.
        confidence: the confidence that a verdict takes.
        run_source: computes the source's outputs.
    """

    samples: Dataset
    metrics: tuple[Metric, ...]
    budgets: tuple[Budget, ...]
    confidence: float
    run_source: Run
    _source: tuple[Array | None, ...] | None = None

    def settle(self, found: Accuracy, run: Run) -> Accuracy:
        """Add the flips to a candidate's accuracy.

        They are announced in any case, since tests that might have been made count as made.

        Args:
            found: the candidate's accuracy on the evaluation samples.
            run: computes the candidate's outputs.
        """
        flips = [Flips(self.samples.n) if metric.decisions is not None else None for metric in self.metrics]
        announced = _with_flips(found, flips)
        without_change = [dataclasses.replace(one, changed=0) if one is not None else None for one in flips]
        if not self._can_help(announced, _with_flips(found, without_change)):
            return announced
        if self._source is None:
            self._source = self._decisions(self.run_source(self.samples.file))
        pairs = zip(self._source, self._decisions(run(self.samples.file)))
        return _with_flips(found, [self._flips(*pair) for pair in pairs])

    def _can_help(self, announced: Accuracy, without_change: Accuracy) -> bool:
        """Tell whether an inconclusive verdict would be a pass if no decision changed."""
        now, best = (
            judge(Figures(0, accuracy=accuracy), self._limits, confidence=self.confidence)
            for accuracy in (announced, without_change)
        )
        outcomes = [(verdict.outcome, hoped.outcome) for verdict, hoped in zip(now, best)]
        return all(outcome != "fail" for outcome, _ in outcomes) and ("inconclusive", "pass") in outcomes

    @property
    def _limits(self) -> list[Budget]:
        return [budget for budget in self.budgets if budget.is_accuracy]

    def _decisions(self, outputs: Mapping[str, Rows]) -> tuple[Array | None, ...]:
        found: list[Array | None] = []
        for metric in self.metrics:
            own = outputs if metric.output is None else {metric.output: outputs[metric.output]}
            found.append(metric.decisions(own) if metric.decisions is not None else None)
        return tuple(found)

    def _flips(self, source: Array | None, own: Array | None) -> Flips | None:
        if source is None or own is None:
            return None
        differs = (source != own).reshape(self.samples.n, -1).any(axis=1)
        return Flips(self.samples.n, int(differs.sum()))


def check_metrics(metrics: tuple[Metric, ...], *, labelled: bool) -> None:
    """Refuse samples without labels that no metric has a use for.

    Raises:
        UsageError: there are no samples with labels, or no metric scores decisions.
    """
    if not labelled:
        raise UsageError(
            "--unlabelled adds to samples with labels, and there are none; give them with --evaluation, or give these "
            "samples as --evaluation."
        )
    if all(metric.decisions is None for metric in metrics):
        raise UsageError(
            f"--unlabelled shows how often decisions change, which top1 and top5 score, and {metrics[0].name} does "
            "not; leave it out."
        )


def _with_flips(found: Accuracy, flips: list[Flips | None]) -> Accuracy:
    return joined([dataclasses.replace(one, flips=each) for one, each in zip(found.each, flips)])
