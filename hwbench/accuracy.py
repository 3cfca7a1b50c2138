"""Accuracy against labels, beside the source model's own on the same samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hwbench import intervals
from hwbench.intervals import Estimate
from hwbench.metrics import Metric
from runtimes.errors import UsageError
from runtimes.tensors import Array

_REPLICATES = 500


@dataclass(frozen=True)
class Accuracy:
    """A metric's value on the evaluation data.

    Attributes:
        scores: one per sample, where the metric is their mean.
        replicates: otherwise, the metric on bootstrap resamples; equal seeds make equal resamples, so that
            two models' replicates are paired.
        reference: the source model's, on the same samples; None for the source itself.
    """

    metric: str
    higher_is_better: bool
    n: int
    value: float
    scores: tuple[float, ...] | None = None
    replicates: tuple[float, ...] | None = None
    reference: Accuracy | None = None

    def estimate(self) -> Estimate:
        """The metric with its confidence interval."""
        if self.scores is not None:
            return intervals.mean(self.scores)
        return intervals.percentile_of_replicates(self.value, np.asarray(self.replicates))

    def drop(self) -> Estimate | None:
        """How much worse than the reference, paired by sample; None without one. Negative is better."""
        reference = self.reference
        if reference is None:
            return None
        better, worse = (reference, self) if self.higher_is_better else (self, reference)
        if better.scores is not None and worse.scores is not None:
            return intervals.paired_difference(better.scores, worse.scores)
        replicates = np.asarray(better.replicates) - np.asarray(worse.replicates)
        return intervals.percentile_of_replicates(better.value - worse.value, replicates)


def evaluate(
    metric: Metric, outputs: Mapping[str, Array], labels: Array, reference: Accuracy | None = None
) -> Accuracy:
    """Score outputs against labels.

    Args:
        metric: what to compute.
        outputs: the model's outputs, samples first.
        labels: one entry per sample.
        reference: the source model's accuracy on the same samples.

    Raises:
        UsageError: the metric failed, or returned neither a number nor one score per sample.
    """
    result = np.asarray(_score(metric, outputs, labels), dtype=np.float64)
    n = len(labels)
    if result.shape == (n,):
        scores = tuple(result.tolist())
        return Accuracy(
            metric.name, metric.higher_is_better, n, float(result.mean()), scores=scores, reference=reference
        )
    if result.shape != ():
        raise UsageError(
            f"Metric '{metric.name}' returned an array of shape {list(result.shape)} for {n} samples; "
            "return one number, or one score per sample."
        )
    replicates = _bootstrap(lambda rows: _score(metric, {k: v[rows] for k, v in outputs.items()}, labels[rows]), n)
    return Accuracy(metric.name, metric.higher_is_better, n, float(result), replicates=replicates, reference=reference)


def _score(metric: Metric, outputs: Mapping[str, Array], labels: Array) -> Array | float:
    try:
        return metric.score(outputs, labels)
    except Exception as error:  # a user's own function may raise anything
        raise UsageError(f"Metric '{metric.name}' failed: {type(error).__name__}: {error}") from error


def _bootstrap(score: Callable[[Array], Array | float], n: int) -> tuple[float, ...]:
    rng = np.random.default_rng(0)
    return tuple(float(score(rng.integers(0, n, n))) for _ in range(_REPLICATES))
