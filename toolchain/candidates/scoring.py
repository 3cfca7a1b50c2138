"""Scorers: the metric and the samples that candidates are scored with, and the source model's own score."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hwbench import metrics
from hwbench.data import dataset
from hwbench.data.dataset import Dataset
from hwbench.measurements import accuracy, interleaved
from hwbench.measurements.accuracy import Accuracy
from hwbench.metrics import Metric
from hwbench.metrics.parity import as_labels
from runtimes import npz
from runtimes.bundles.states import States, step_inputs
from runtimes.errors import UsageError
from runtimes.sample_arrays import Rows
from toolchain.models.onnx_model import OnnxModel
from toolchain.sources.input_specs import default_sizes, example_samples, example_sequences

_RANDOM_SAMPLES = 64  # closeness on random inputs proves little, however many there are
_RANDOM_STEPS = 8, 16  # sequences, and steps of each, for a model with states
_RANKING_SAMPLES, _RANKING_STEPS = 128, 1024  # few, since every candidate runs on them
_PARITY_SAMPLES, _PARITY_STEPS = 32, 256  # each sample gives thousands of numbers to compare, a label gives one


@dataclasses.dataclass(frozen=True)
class Scorer:
    """Metrics and the samples they are computed on.

    Attributes:
        metrics: the metrics; candidates are ordered by the first.
        reference: the source's score; None until the source has been run.
        note: a note for the report if there are no labels.
    """

    metrics: tuple[Metric, ...]
    samples: Dataset
    reference: Accuracy | None = None
    note: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics' names."""
        return tuple(metric.name for metric in self.metrics)

    def with_reference(self, outputs: Mapping[str, Rows]) -> Scorer:
        """Add the reference, once the source's outputs are known. For parity they are the labels, too."""
        samples = self.samples
        if self.names == ("parity",):
            samples = dataclasses.replace(samples, labels=as_labels(outputs))
        scorer = dataclasses.replace(self, samples=samples)
        return dataclasses.replace(scorer, reference=scorer.score(outputs))

    def score(self, outputs: Mapping[str, Rows]) -> Accuracy:
        """Compute a candidate's accuracy, with the reference beside it.

        Raises:
            UsageError: the metric fails on these outputs.
        """
        references = self.reference.each if self.reference is not None else (None,) * len(self.metrics)
        digest, samples = self.samples.sha256(), self.samples
        scored = [
            accuracy.evaluate(metric, outputs, accuracy.labels_of(metric, samples), reference)
            for metric, reference in zip(self.metrics, references)
        ]
        return accuracy.joined([dataclasses.replace(one, data_sha256=digest) for one in scored])

    def source(self) -> Accuracy:
        """Return the accuracy of the source itself: the reference, once the source has been run."""
        assert self.reference is not None
        return accuracy.joined([dataclasses.replace(one, reference=one, is_source=True) for one in self.reference.each])


def metrics_of(evaluation: Path | None, names: Sequence[str]) -> tuple[Metric, ...]:
    """Load the metrics that the user asks for, before any model is opened.

    Args:
        evaluation: the user's samples.
        names: metrics' names, or FILE.py:FUNCTION; none for top1 with labels, parity without.

    Raises:
        UsageError: there is no such metric, or it needs samples and none are given.
    """
    if evaluation is None and (needy := [name for name in names if name != "parity"]):
        raise UsageError(f"The metric {needy[0]} needs labelled samples; give --evaluation FILE.npz.")
    arrays = _names_in(evaluation) if evaluation is not None else []
    of_outputs = [name for name in arrays if name.startswith(f"{dataset.LABELS}_") and not name.endswith(npz.SHAPES)]
    if of_outputs and dataset.LABELS not in arrays and not names:
        output = of_outputs[0].removeprefix(f"{dataset.LABELS}_")
        raise UsageError(f"The evaluation samples hold {of_outputs[0]}; name its metric, as in --metric top1:{output}.")
    return tuple(metrics.load_all(names or ["top1" if dataset.LABELS in arrays else "parity"]))


def choose_scorer(
    model: OnnxModel,
    evaluation: Dataset | None,
    calibration: Dataset | None,
    wanted: tuple[Metric, ...],
    work: Path,
    states: States | None = None,
) -> Scorer:
    """Choose the scorer by which candidates are accepted: labelled samples if there are any, else parity.

    Args:
        model: the source.
        evaluation: the user's samples, with labels unless the metric is parity.
        calibration: calibration samples, used if there are no evaluation samples.
        wanted: the metrics from `metrics_of`.
        work: a folder for random samples, used if there are no samples at all.
        states: the model's states, if it has any.

    Raises:
        UsageError: a metric needs labels that are not there, or scores an output that the model has not.
    """
    _check_outputs(model, wanted)
    if evaluation is not None:
        is_parity = wanted[0].name == "parity"
        for metric in () if is_parity else wanted:
            accuracy.labels_of(metric, evaluation)
        note = "No labels were given, so accuracy is parity: closeness to the source's outputs." if is_parity else None
        return Scorer(wanted, evaluation, note=note)
    if calibration is not None:
        note = (
            "No evaluation samples were given, so accuracy is parity: closeness to the source on calibration samples."
        )
        return Scorer(wanted, calibration, note=note)
    note = (
        "No samples were given, so accuracy is closeness to the source's outputs on random inputs, which proves "
        f"little; latency is of random inputs, too{default_sizes(model.inputs)}."
    )
    return Scorer(wanted, _random(model, states or {}, work / "random.npz"), note=note)


def choose_ranking_scorer(model: OnnxModel, samples: Dataset | None, scorer: Scorer, work: Path) -> Scorer:
    """Choose the scorer by which the search orders candidates, so that it leaves the evaluation samples alone.

    It has the first of some samples, with the same metric if they have labels and parity with the source if not.

    Args:
        model: the source.
        samples: the calibration samples, or those of `scorer` if nobody gave evaluation samples; None for random ones.
        scorer: the scorer by which candidates are accepted.
        work: a folder for the samples.
    """
    data = samples or _random(model, scorer.samples.states, work / "ranking-random.npz")
    labelled = all(metric.name != "parity" and data.labels_for(metric.output) is not None for metric in scorer.metrics)
    most = (_RANKING_SAMPLES, _RANKING_STEPS) if labelled else (_PARITY_SAMPLES, _PARITY_STEPS)
    some = interleaved.subset(data, data.first(*most), work / "ranking.npz")
    return Scorer(scorer.metrics if labelled else (metrics.load("parity"),), some)


def _random(model: OnnxModel, states: States, file: Path) -> Dataset:
    fed = step_inputs(model.inputs, states)
    npz.write(file, example_sequences(fed, *_RANDOM_STEPS) if states else example_samples(fed, _RANDOM_SAMPLES))
    return dataset.read(file, model.inputs, states=states)


def _check_outputs(model: OnnxModel, wanted: Sequence[Metric]) -> None:
    names = [spec.name for spec in model.outputs]
    for metric in wanted:
        if metric.output is not None and metric.output not in names:
            raise UsageError(
                f"The metric '{metric.name}' scores the output '{metric.output}'; the model has {', '.join(names)}."
            )


def _names_in(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except Exception:  # `dataset.read` says what is wrong with the file
        return []
