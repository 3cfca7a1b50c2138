"""One metric per file: `score(outputs, labels)` and `higher_is_better`.

`score` returns one score per sample where the metric is their mean, else one number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwbench import userfile
from runtimes import plugins
from runtimes.errors import UsageError
from runtimes.tensors import Array

Score = Callable[[Mapping[str, Array], Array], "Array | float"]


@dataclass(frozen=True)
class Metric:
    """A metric, ready to call."""

    name: str
    score: Score
    higher_is_better: bool = True


def load(name: str) -> Metric:
    """A metric by name, or a user's own as FILE.py:FUNCTION.

    A function may carry an attribute `higher_is_better`; without one, higher is better.

    Raises:
        UsageError: there is no such metric, file or function.
    """
    if name.endswith(".py"):
        raise UsageError(f"'{name}' names a file and no function; give the metric as FILE.py:FUNCTION.")
    if ".py:" not in name:
        module = plugins.load("hwbench.metrics", name, "metric")
        return Metric(name, module.score, module.higher_is_better)
    file, _, function = name.rpartition(":")
    if not Path(file).is_file():
        raise UsageError(f"There is no file '{file}'; give the metric as FILE.py:FUNCTION.")
    users = getattr(userfile.load(Path(file)), function, None)
    if not callable(users):
        raise UsageError(f"'{file}' has no function '{function}'; give the metric as FILE.py:FUNCTION.")

    def score(outputs: Mapping[str, Array], labels: Array) -> Array | float:
        with userfile.beside(Path(file)):  # it may import when it is called
            scores: Array | float = users(outputs, labels)
        return scores

    return Metric(function, score, bool(getattr(users, "higher_is_better", True)))


def first(outputs: Mapping[str, Array]) -> Array:
    """The first output, which the classification metrics score."""
    return next(iter(outputs.values()))


def right_classes(labels: Array, classes: int) -> Array:
    """Labels of classification as [n, k]: the right classes of each sample, padded with -1.

    Raises:
        ValueError: labels that are no class numbers of this model.
    """
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels are {labels.dtype.name}; give class numbers, as integers")
    listed = labels.reshape(len(labels), -1)
    if listed.shape[1] == classes > 2 and set(np.unique(listed)) <= {0, 1}:
        raise ValueError("labels look one-hot; give class numbers, as in labels.argmax(1)")
    if listed.size and not -1 <= listed.min() <= listed.max() < classes:
        raise ValueError(
            f"labels go from {listed.min()} to {listed.max()}, and the model has {classes} classes from 0 on"
        )
    return listed
