"""Accuracy against labels, beside the source model's on the same samples."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hwbench import metrics
from hwbench.data.dataset import LABELS, Dataset
from hwbench.metrics import Metric, Scale
from hwbench.stats import resampling
from hwbench.stats.inference import Inference, Known, Proportion
from hwbench.stats.intervals import Estimate
from hwbench.stats.mean_inference import Mean
from hwbench.stats.paired_proportions import Flips, PairedProportions
from hwbench.stats.replicate_inference import Bootstrap, Jackknife
from hwbench.stats.resampling import Resampling
from runtimes.errors import UsageError
from runtimes.sample_arrays import Rows
from runtimes.tensors import Array

Against = Literal["source", "baseline"]


@dataclass(frozen=True)
class Accuracy:
    """A metric's value on the evaluation data.

    Attributes:
        scores: one per sample, if the metric is their mean.
        proportion: True if the scores are 1 for right and 0 for wrong, rather than degrees of closeness.
        replicates: the metric on resamples, if it is no mean of scores; equal seeds make equal resamples, so that two
            models' replicates are paired.
        resampling: the way the resamples were made.
        reference: the source model's accuracy on the same samples; None without it.
        data_sha256: digest of the evaluation samples and labels; two scores are paired only if it is equal.
        is_source: True for the source model itself, on the runtime of the reference: its drop is zero, not estimated.
        others: the values of further metrics on the same samples; only those of the first metric hold any.
        against: what the reference is: the source model, or a baseline in its place.
        computed_by: what computed the outputs, if not the kernels of the machine that scored them: "exact arithmetic",
            or "an emulated cortex-a76".
        flips: samples without labels, on which the model's decisions were compared with the reference's; None if there
            are none, or if the metric scores no decisions.
    """

    metric: str
    higher_is_better: bool
    n: int
    value: float
    scores: tuple[float, ...] | None = None
    proportion: bool = False
    replicates: tuple[float, ...] | None = None
    reference: Accuracy | None = None
    data_sha256: str | None = None
    is_source: bool = False
    others: tuple[Accuracy, ...] = ()
    resampling: Resampling = "bootstrap"
    flips: Flips | None = None
    against: Against = "source"
    computed_by: str = ""

    def __post_init__(self) -> None:
        if (self.scores is None) == (self.replicates is None):
            raise ValueError("has neither scores nor replicates, or both; expected one of them")
        if self.scores is not None and len(self.scores) != self.n:
            raise ValueError(f"has {len(self.scores)} scores for n = {self.n} samples")
        if self.proportion and not set(self.scores or ()) <= {0.0, 1.0}:
            raise ValueError("is a proportion of scores that are not all 0 or 1")

    @property
    def each(self) -> tuple[Accuracy, ...]:
        """The values of all metrics, each without the others."""
        return (dataclasses.replace(self, others=()), *self.others) if self.others else (self,)

    def of(self, key: str) -> Accuracy | None:
        """Return the value of the metric that a budget's key means; see `metrics.find`."""
        index = metrics.find([one.metric for one in self.each], key)
        return self.each[index] if index is not None else None

    @property
    def scale(self) -> Scale:
        """The metric's direction and bounds."""
        return Scale(self.metric, self.higher_is_better, self.bounds)

    @property
    def is_share(self) -> bool:
        """True if the metric is a share, from 0 to 1, so that 0.01 means the same of every model."""
        return self.bounds == (0.0, 1.0)

    @property
    def bounds(self) -> tuple[float, float]:
        """The metric's smallest and largest possible value, as far as its name and its scores tell them."""
        return (0.0, 1.0) if self.proportion else metrics.bounds(self.metric)

    def estimate(self) -> Estimate:
        """Estimate the metric with its confidence interval.

        Raises:
            ValueError: there are too few samples for an interval.
        """
        return self.inference().estimate()

    def drop(self) -> Estimate | None:
        """Estimate the loss against the reference, paired by sample: negative for a gain, None without a reference.

        Raises:
            ValueError: there are too few samples for an interval.
        """
        found = self.drop_inference()
        return found.estimate() if found is not None else None

    def inference(self) -> Inference:
        """Draw conclusions about the metric.

        Raises:
            ValueError: there are too few samples for an interval.
        """
        if self.scores is not None:
            return Proportion(int(sum(self.scores)), self.n) if self.proportion else _mean(self.scores)
        return self._resampled(self.value, np.asarray(self.replicates))

    def drop_inference(self) -> Inference | None:
        """Draw conclusions about the loss against the reference; None without a reference.

        Raises:
            ValueError: there are too few samples for an interval.
        """
        reference = self.reference
        if self.is_source:
            return Known(0.0)
        if reference is None:
            return None
        better, worse = (reference, self) if self.higher_is_better else (self, reference)
        if better.scores is not None and worse.scores is not None:
            if len(better.scores) != len(worse.scores):
                raise ValueError(f"{len(better.scores)} scores cannot be paired with {len(worse.scores)}")
            difference = np.asarray(better.scores) - np.asarray(worse.scores)
            if better.proportion and worse.proportion:
                lost, gained = int((difference > 0).sum()), int((difference < 0).sum())
                return PairedProportions(lost, gained, self.n, self.flips)
            return _mean(tuple(difference.tolist()))
        if better.resampling != worse.resampling or len(better.replicates or ()) != len(worse.replicates or ()):
            raise ValueError(f"{self.metric} was resampled in two ways, which cannot be paired; score both anew")
        replicates = np.asarray(better.replicates) - np.asarray(worse.replicates)
        return self._resampled(better.value - worse.value, replicates)

    def _resampled(self, value: float, replicates: Array) -> Inference:
        if self.n < 2:  # all resamples of one sample are equal, which would look like certainty
            raise ValueError("an interval takes at least 2 samples, and there is 1")
        kind = Bootstrap if self.resampling == "bootstrap" else Jackknife
        return kind(value, replicates, self.n if self.is_share else None)


@functools.lru_cache(maxsize=16)
def _mean(scores: tuple[float, ...]) -> Mean:
    """Keep a mean with its bootstrap, since a search asks for the same ones again and again."""
    return Mean(scores)


def joined(each: Sequence[Accuracy]) -> Accuracy:
    """Join the values of several metrics on the same samples; the first one holds the others."""
    return dataclasses.replace(each[0], others=tuple(each[1:]))


def computed_by(accuracy: Accuracy, what: str) -> Accuracy:
    """Note what computed the outputs that all metrics of an accuracy score."""
    return joined([dataclasses.replace(one, computed_by=what) for one in accuracy.each])


def labels_of(metric: Metric, samples: Dataset) -> Rows:
    """Return the labels that a metric scores against: those of its output, or those of all outputs.

    Raises:
        UsageError: the samples have neither.
    """
    labels = samples.labels_for(metric.output)
    if labels is None:
        own = f"'{LABELS}_{metric.output}' or " if metric.output is not None else ""
        raise UsageError(
            f"Metric '{metric.name}' has no labels: the samples have no array {own}'{LABELS}'; add it, or name the "
            "output that the metric scores, as NAME:OUTPUT."
        )
    return labels


def evaluate(
    metric: Metric,
    outputs: Mapping[str, Rows],
    labels: Rows,
    reference: Accuracy | None = None,
    like: Accuracy | None = None,
) -> Accuracy:
    """Score outputs against labels.

    Args:
        metric: the metric.
        outputs: the model's outputs, samples first.
        labels: one per sample.
        reference: the source model's accuracy on the same samples, whose resampling is taken over. Without one, a slow
            metric has fewer resamples; see `resampling.plan`.
        like: the accuracy to be paired with, if that is another one than the reference's.

    Raises:
        UsageError: the outputs are not one per sample, the metric failed, or it returned neither a finite number nor
            one per sample. Booleans per sample make a proportion.
    """
    n = len(labels)
    if metric.output is not None:
        outputs = {metric.output: _output(metric, outputs)}
    for name, array in outputs.items():
        if array.ndim == 0 or len(array) != n:
            raise UsageError(
                f"Output '{name}' has shape {list(array.shape)}, but there are {n} samples; its first axis must be the "
                "samples."
            )
    with _told(metric):
        quick, reduced = metric.reduced(outputs, labels)
    start = time.perf_counter()
    result, proportion = _score(quick, reduced, labels)
    took_s = time.perf_counter() - start
    if result.shape == (n,):
        scores, value = tuple(result.tolist()), float(result.mean())
        return Accuracy(metric.name, metric.higher_is_better, n, value, scores, proportion, reference=reference)
    if result.shape != ():
        raise UsageError(
            f"Metric '{metric.name}' returned an array of shape {list(result.shape)} for {n} samples; "
            "return one number, or one score per sample."
        )
    how, count = resampling.plan(took_s, n)
    paired = like if like is not None else reference
    if paired is not None and paired.replicates is not None:
        how, count = paired.resampling, len(paired.replicates)
    found = Accuracy(metric.name, metric.higher_is_better, n, float(result), replicates=(), reference=reference)
    replicates = resampling.replicates(lambda rows: float(_score(quick, reduced, labels, rows)[0]), n, how, count)
    return dataclasses.replace(found, replicates=replicates, resampling=how)


def _output(metric: Metric, outputs: Mapping[str, Rows]) -> Rows:
    assert metric.output is not None
    if metric.output not in outputs:
        raise UsageError(
            f"Metric '{metric.name}' scores the output '{metric.output}'; the model has {', '.join(outputs)}."
        )
    return outputs[metric.output]


@contextlib.contextmanager
def _told(metric: Metric) -> Iterator[None]:
    """Name the metric in errors about outputs and labels that do not fit it."""
    try:
        yield
    except UsageError:  # of a user's own function, which names its line
        raise
    except ValueError as error:
        raise UsageError(f"Metric '{metric.name}' cannot be computed: {error}.") from error
    except Exception as error:  # labels may be anything
        raise UsageError(f"Metric '{metric.name}' failed: {type(error).__name__}: {error}") from error


def _score(metric: Metric, outputs: Mapping[str, Rows], labels: Rows, rows: Array | None = None) -> tuple[Array, bool]:
    """Compute the metric of some samples, or all, as finite floats, and tell whether it returned booleans."""
    if rows is not None:
        outputs, labels = {name: array[rows] for name, array in outputs.items()}, labels[rows]
    with _told(metric):
        returned = metric.score(outputs, labels)
    try:
        result = np.asarray(returned, dtype=np.float64) if returned is not None else None
    except (TypeError, ValueError):
        result = None
    if result is None:
        raise UsageError(
            f"Metric '{metric.name}' returned {repr(returned)[:60]}; return one number, or one score per sample."
        )
    if not np.isfinite(result).all():
        first = np.argwhere(~np.isfinite(result))[0]
        where = f" for sample {first[0]}" if len(first) else ""
        raise UsageError(f"Metric '{metric.name}' returned {result[tuple(first)]}{where}; return a finite number.")
    return result, np.asarray(returned).dtype == bool
