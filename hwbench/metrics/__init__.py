"""Metrics: one per file, a score of the model's outputs against labels."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from hwbench.data import user_code
from runtimes import plugins
from runtimes.errors import NotInstalledError, UsageError
from runtimes.tensors import Array

Score = Callable[[Mapping[str, Any], Any], "Array | float"]
"""Function of outputs and labels. Those of mixed sizes are no arrays but a `RaggedArray`, whose samples are arrays."""

UNBOUNDED = (-math.inf, math.inf)


class MetricModule(Protocol):
    """A module of this folder.

    Attributes:
        HIGHER_IS_BETTER: direction of the metric.
        BOUNDS: its smallest and its largest possible value.
    """

    HIGHER_IS_BETTER: bool
    BOUNDS: tuple[float, float]

    def score(self, outputs: Mapping[str, Any], labels: Any) -> Array | float:
        """Score outputs, whose first axis is the samples, against one label per sample.

        Returns:
            One score per sample if the metric is their mean, else one number.

        Raises:
            ValueError: the labels do not fit the metric or the outputs; says why.
        """


@dataclass(frozen=True)
class Metric:
    """A metric, ready to call.

    Attributes:
        bounds: its smallest and its largest possible value; infinite for a user's own metric.
    """

    name: str
    score: Score
    higher_is_better: bool = True
    bounds: tuple[float, float] = UNBOUNDED


def names() -> tuple[str, ...]:
    """List the metrics of this folder."""
    return plugins.names(__name__)


def bounds(name: str) -> tuple[float, float]:
    """Return the bounds of a metric; infinite for a user's own, or if a package that it needs is not installed."""
    try:
        return load(name).bounds if name in names() else UNBOUNDED
    except NotInstalledError:  # auc needs scikit-learn, which a device may lack
        return UNBOUNDED


def load(name: str) -> Metric:
    """Load a metric by name, or a user's own as FILE.py:FUNCTION.

    A user's function may carry an attribute `higher_is_better`; without it, higher is better.

    Raises:
        NotInstalledError: the metric needs a package that is not installed.
        UsageError: there is no such metric, file or function, or the function takes other arguments.
    """
    if name.endswith(".py"):
        raise UsageError(f"'{name}' names a file and no function; give the metric as FILE.py:FUNCTION.")
    if ".py:" in name:
        return _users_metric(name)
    module = cast(MetricModule, plugins.load(__name__, name, "metric"))
    return Metric(name, module.score, module.HIGHER_IS_BETTER, module.BOUNDS)


def _users_metric(name: str) -> Metric:
    file, _, function = name.rpartition(":")
    if not Path(file).is_file():
        raise UsageError(f"There is no file '{file}'; give the metric as FILE.py:FUNCTION.")
    users = getattr(user_code.load(Path(file)), function, None)
    if not callable(users):
        raise UsageError(f"'{file}' has no function '{function}'; give the metric as FILE.py:FUNCTION.")
    _check_takes_two(name, users)

    def score(outputs: Mapping[str, Any], labels: Any) -> Array | float:
        with user_code.beside(Path(file)):  # the function may import when it is called
            scores: Array | float = users(outputs, labels)
        return scores

    return Metric(function, score, bool(getattr(users, "higher_is_better", True)))


def _check_takes_two(name: str, function: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:  # functions written in C may have no signature
        return
    try:
        signature.bind(None, None)
    except TypeError:
        raise UsageError(f"The metric '{name}' takes {signature}; a metric takes (outputs, labels).") from None
