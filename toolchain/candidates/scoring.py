"""Scorers: the metric and the samples that candidates are scored with, and the source model's own score."""

from __future__ import annotations

import dataclasses
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path

from hwbench import metrics
from hwbench.data import dataset
from hwbench.data.dataset import Dataset
from hwbench.measurements import accuracy, interleaved
from hwbench.measurements.accuracy import Accuracy
from hwbench.metrics import Metric
from hwbench.metrics.parity import as_labels
from runtimes import npz, samples
from runtimes.errors import UsageError
from runtimes.sample_arrays import Rows
from toolchain.models.onnx_model import OnnxModel
from toolchain.sources.input_specs import default_sizes, example_samples

_RANDOM_SAMPLES = 64  # closeness on random inputs proves little, however many there are
_RANKING_SAMPLES = 128  # few, since every candidate runs on them


@dataclasses.dataclass(frozen=True)
class Scorer:
    """A metric and the samples it is computed on.

    Attributes:
        reference: the source's score; None until the source has been run.
        note: a note for the report if there are no labels.
    """

    metric: Metric
    samples: Dataset
    reference: Accuracy | None = None
    note: str | None = None

    def with_reference(self, outputs: Mapping[str, Rows]) -> Scorer:
        """Add the reference, once the source's outputs are known. For parity they are the labels, too."""
        samples = self.samples
        if self.metric.name == "parity":
            samples = dataclasses.replace(samples, labels=as_labels(outputs))
        scorer = dataclasses.replace(self, samples=samples)
        return dataclasses.replace(scorer, reference=scorer.score(outputs))

    def score(self, outputs: Mapping[str, Rows]) -> Accuracy:
        """Compute a candidate's accuracy, with the reference beside it.

        Raises:
            UsageError: the metric fails on these outputs.
        """
        assert self.samples.labels is not None
        scored = accuracy.evaluate(self.metric, outputs, self.samples.labels, self.reference)
        return dataclasses.replace(scored, data_sha256=self.samples.sha256())

    def source(self) -> Accuracy:
        """Return the accuracy of the source itself: the reference, once the source has been run."""
        assert self.reference is not None
        return dataclasses.replace(self.reference, reference=self.reference, is_source=True)


def metric_of(evaluation: Path | None, name: str | None) -> Metric:
    """Load the metric that the user asks for, before any model is opened.

    Args:
        evaluation: the user's samples.
        name: a metric's name, or FILE.py:FUNCTION; None for top1 with labels, parity without.

    Raises:
        UsageError: there is no such metric, or it needs samples and none are given.
    """
    if evaluation is None and name not in (None, "parity"):
        raise UsageError(f"The metric {name} needs labelled samples; give --evaluation FILE.npz.")
    labelled = evaluation is not None and _has_labels(evaluation)
    return metrics.load(name or ("top1" if labelled else "parity"))


def choose_scorer(
    model: OnnxModel, evaluation: Dataset | None, calibration: Dataset | None, metric: Metric, work: Path
) -> Scorer:
    """Choose the scorer by which candidates are accepted: labelled samples if there are any, else parity.

    Args:
        model: the source.
        evaluation: the user's samples, with labels unless the metric is parity.
        calibration: calibration samples, used if there are no evaluation samples.
        metric: the metric from `metric_of`.
        work: a folder for random samples, used if there are no samples at all.

    Raises:
        UsageError: the calibration samples do not fit the model.
    """
    if evaluation is not None:
        is_parity = metric.name == "parity"
        note = "No labels were given, so accuracy is parity: closeness to the source's outputs." if is_parity else None
        return Scorer(metric, evaluation, note=note)
    if calibration is not None:
        note = (
            "No evaluation samples were given, so accuracy is parity: closeness to the source on calibration samples."
        )
        return Scorer(metric, calibration, note=note)
    file = work / "random.npz"
    npz.write(file, example_samples(model.inputs, _RANDOM_SAMPLES))
    note = (
        "No samples were given, so accuracy is closeness to the source's outputs on random inputs, which proves "
        f"little; latency is of random inputs, too{default_sizes(model.inputs)}."
    )
    return Scorer(metric, dataset.read(file, model.inputs), note=note)


def choose_ranking_scorer(model: OnnxModel, calibration: Dataset | None, scorer: Scorer, work: Path) -> Scorer:
    """Choose the scorer by which the search orders candidates, so that it leaves the evaluation samples alone.

    It has some of the calibration samples, with the same metric if they have labels and parity with the source if not;
    random inputs if there are no calibration samples.
    """
    if calibration is None:
        file = work / "ranking.npz"
        npz.write(file, example_samples(model.inputs, _RANDOM_SAMPLES))
        return Scorer(metrics.load("parity"), dataset.read(file, model.inputs))
    batch = samples.batch_size(model.inputs, calibration.arrays)
    n = min(calibration.n, math.ceil(_RANKING_SAMPLES / batch) * batch)
    some = interleaved.subset(calibration, range(n), work / "ranking.npz")
    return Scorer(scorer.metric if some.labels is not None else metrics.load("parity"), some)


def _has_labels(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return f"{dataset.LABELS}.npy" in archive.namelist()
    except Exception:  # `dataset.read` says what is wrong with the file
        return False
