"""One metric per file: `score(outputs, labels)`, `higher_is_better`, and `bounds`: the least and the most it can be.

`score` returns one score per sample where the metric is their mean, else one number.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwbench.data import user_code
from runtimes import plugins
from runtimes.errors import NotInstalledError, UsageError
from runtimes.tensors import Array

Score = Callable[[Mapping[str, Array], Array], "Array | float"]

UNBOUNDED = (-math.inf, math.inf)


@dataclass(frozen=True)
class Metric:
    """A metric, ready to call.

    Attributes:
        bounds: the least and the most it can be; of a user's own, nothing is known.
    """

    name: str
    score: Score
    higher_is_better: bool = True
    bounds: tuple[float, float] = UNBOUNDED


def bounds(name: str) -> tuple[float, float]:
    """The least and the most that a metric can be, as far as it is known and can be loaded here."""
    try:
        return load(name).bounds if name in plugins.names("hwbench.metrics") else UNBOUNDED
    except NotInstalledError:  # auc wants scikit-learn, which a device may lack
        return UNBOUNDED


def load(name: str) -> Metric:
    """A metric by name, or a user's own as FILE.py:FUNCTION.

    A function may carry an attribute `higher_is_better`; without one, higher is better.

    Raises:
        UsageError: there is no such metric, file or function, or the function takes something else.
    """
    if name.endswith(".py"):
        raise UsageError(f"'{name}' names a file and no function; give the metric as FILE.py:FUNCTION.")
    if ".py:" not in name:
        module = plugins.load("hwbench.metrics", name, "metric")
        return Metric(name, module.score, module.higher_is_better, module.bounds)
    file, _, function = name.rpartition(":")
    if not Path(file).is_file():
        raise UsageError(f"There is no file '{file}'; give the metric as FILE.py:FUNCTION.")
    users = getattr(user_code.load(Path(file)), function, None)
    if not callable(users):
        raise UsageError(f"'{file}' has no function '{function}'; give the metric as FILE.py:FUNCTION.")
    _check_takes_two(name, users)

    def score(outputs: Mapping[str, Array], labels: Array) -> Array | float:
        with user_code.beside(Path(file)):  # it may import when it is called
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
    listed = labels.reshape(len(labels), -1)
    if _looks_one_hot(listed, classes):
        raise ValueError("labels look one-hot; give class numbers, as in labels.argmax(1)")
    if labels.dtype.kind not in "iu":
        kind = "text" if labels.dtype.kind in "US" else labels.dtype.name
        raise ValueError(f"labels are {kind}; give class numbers, as integers")
    if listed.size and not -1 <= listed.min() <= listed.max() < classes:
        raise ValueError(
            f"labels go from {listed.min()} to {listed.max()}, and the model has {classes} classes from 0 on"
        )
    return listed


def _looks_one_hot(listed: Array, classes: int) -> bool:
    """Of two classes, a row of 0 and 1 may list both as right, but hardly in every sample."""
    if listed.dtype.kind not in "biuf" or listed.shape[1] != classes or classes < 2:
        return False
    is_binary = set(np.unique(listed).tolist()) <= {0, 1}
    return is_binary and (classes > 2 or bool((listed.sum(axis=1) == 1).all()))


def _check_takes_two(name: str, function: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:  # of what is written in C, Python may not know
        return
    try:
        signature.bind(None, None)
    except TypeError:
        raise UsageError(f"The metric '{name}' takes {signature}; a metric takes (outputs, labels).") from None
