"""Metrics: one per file, a score of the model's outputs against labels."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from hwbench.data import user_code
from runtimes import plugins
from runtimes.errors import NotInstalledError, UsageError
from runtimes.tensors import Array

Outputs = Mapping[str, Any]
"""Arrays by output, samples first. Those of mixed sizes are no arrays but a `RaggedArray`, whose samples are arrays."""
Score = Callable[[Outputs, Any], "Array | float"]
Reduce = Callable[[Outputs, Any], Outputs]
Combine = Callable[..., float]  # of reduced outputs, and of `of_class`
Decide = Callable[[Outputs], Array]

UNBOUNDED = (-math.inf, math.inf)


class MetricModule(Protocol):
    """A module of this folder.

    One whose score is no mean over samples is scored on hundreds of resamples. It should also have `reduce(outputs,
    labels)`, which returns arrays, samples first, that hold all it needs to know of each sample, and
    `combine(reduced)`, which makes the score of those. `combine` may take `of_class`, for names such as f1@3.

    One that scores each sample as right or wrong should also have `decisions(outputs)`, which returns an array, samples
    first, that holds all that the scores depend on beside the labels. Samples without labels then show how often two
    models decide differently.

    Attributes:
        HIGHER_IS_BETTER: direction of the metric.
        BOUNDS: its smallest and its largest possible value.
    """

    HIGHER_IS_BETTER: bool
    BOUNDS: tuple[float, float]

    def score(self, outputs: Outputs, labels: Any) -> Array | float:
        """Score outputs, whose first axis is the samples, against one label per sample.

        Returns:
            One score per sample if the metric is their mean, else one number.

        Raises:
            ValueError: the labels do not fit the metric or the outputs; says why.
        """


@dataclass(frozen=True)
class Scale:
    """The values of a metric: what a limit on it has to fit.

    Attributes:
        name: the metric's name.
        bounds: its smallest and its largest possible value.
    """

    name: str
    higher_is_better: bool
    bounds: tuple[float, float] = UNBOUNDED


@dataclass(frozen=True)
class Metric:
    """A metric, ready to call.

    Attributes:
        name: as the user writes it: "mse", "f1@3" (of class 3), "mse:value" (of the output `value`).
        bounds: its smallest and its largest possible value; infinite for a user's own metric.
        output: the one output that it scores; None to see them all.
        reduce, combine, decisions: those of `MetricModule`; None if it has none.
    """

    name: str
    score: Score
    higher_is_better: bool = True
    bounds: tuple[float, float] = UNBOUNDED
    output: str | None = None
    reduce: Reduce | None = None
    combine: Combine | None = None
    decisions: Decide | None = None

    @property
    def scale(self) -> Scale:
        """Its direction and its bounds."""
        return Scale(self.name, self.higher_is_better, self.bounds)

    def reduced(self, outputs: Outputs, labels: Any) -> tuple[Metric, Outputs]:
        """Return a metric, and arrays for it in place of the outputs, that are quick to score on many resamples.

        Raises:
            ValueError: the labels do not fit the metric or the outputs; says why.
        """
        combine = self.combine
        if self.reduce is None or combine is None:
            return self, outputs
        quick = dataclasses.replace(self, score=lambda reduced, _: combine(reduced), reduce=None, combine=None)
        return quick, self.reduce(outputs, labels)


def names() -> tuple[str, ...]:
    """List the metrics of this folder."""
    return plugins.names(__name__)


def is_built_in(name: str) -> bool:
    """Tell whether a name is that of a metric of this folder, perhaps of a class or an output."""
    return _parts(name)[0] in names()


def find(listed: Sequence[str], key: str) -> int | None:
    """Return the index of the metric that a budget's key means, as that of accuracy_drop[value]<=0.02.

    Args:
        listed: the metrics' names.
        key: a name; or its metric or its output alone, if no other metric has the same; empty for the first metric.

    Returns:
        The index; None if no metric is meant, or several are.
    """
    if not key or key in listed:
        return listed.index(key) if key else 0
    parts = [_parts(name) for name in listed]
    meant = [index for index, (_, _, output) in enumerate(parts) if output == key]
    meant = meant or [index for index, name in enumerate(listed) if name.partition(":")[0] == key]
    return meant[0] if len(meant) == 1 else None


def bounds(name: str) -> tuple[float, float]:
    """Return the bounds of a metric; infinite for a user's own, or if a package that it needs is not installed."""
    try:
        return load(name).bounds if is_built_in(name) else UNBOUNDED
    except NotInstalledError:  # some need scikit-learn, which a device may lack
        return UNBOUNDED


def scores_decisions(name: str) -> bool:
    """Tell whether a metric's scores depend on decisions that can be compared without labels."""
    try:
        return is_built_in(name) and load(name).decisions is not None
    except NotInstalledError:
        return False


def load(name: str) -> Metric:
    """Load a metric by name, or a user's own as FILE.py:FUNCTION.

    Args:
        name: NAME, NAME:OUTPUT for one of several outputs, or FILE.py:FUNCTION; NAME@CLASS for one class. A user's
            function may carry an attribute `higher_is_better`; without it, higher is better.

    Raises:
        NotInstalledError: the metric needs a package that is not installed.
        UsageError: there is no such metric, file or function, the function takes other arguments or has the name of a
            built-in metric, or the metric is not of a class.
    """
    if name.endswith(".py"):
        raise UsageError(f"'{name}' names a file and no function; give the metric as FILE.py:FUNCTION.")
    if ".py:" in name:
        return _users_metric(name)
    plain, of_class, output = _parts(name)
    if plain == "parity" and output is not None:
        raise UsageError(f"The metric parity compares all outputs; leave out ':{output}'.")
    module = plugins.load(__name__, plain, "metric")
    reduce, combine = getattr(module, "reduce", None), getattr(module, "combine", None)
    typed = cast(MetricModule, module)
    decisions = getattr(module, "decisions", None)
    metric = Metric(name, typed.score, typed.HIGHER_IS_BETTER, typed.BOUNDS, output, reduce, combine, decisions)
    return metric if of_class is None else _of_class(metric, plain, of_class)


def load_all(listed: Sequence[str]) -> list[Metric]:
    """Load several metrics by name, as `load` does.

    Raises:
        UsageError: two are the same, or parity is among several.
    """
    loaded = [load(name) for name in listed]
    given = [metric.name for metric in loaded]
    for name in given:
        if given.count(name) > 1:
            raise UsageError(f"The metric '{name}' is given twice; leave one out.")
        if name == "parity" and len(given) > 1:
            raise UsageError("The metric parity takes no labels, and the others do; leave it out.")
    return loaded


def _parts(name: str) -> tuple[str, str | None, str | None]:
    """Split NAME@CLASS:OUTPUT."""
    of_all, colon, output = name.partition(":")
    plain, at, of_class = of_all.partition("@")
    return plain, of_class if at else None, output if colon else None


def _of_class(metric: Metric, name: str, of_class: str) -> Metric:
    reduce, combine = metric.reduce, metric.combine
    if reduce is None or combine is None or "of_class" not in inspect.signature(combine).parameters:
        raise UsageError(f"The metric '{name}' is not of one class; leave out '@{of_class}'.")
    if not of_class.isdecimal() or len(of_class) > 9:  # Python refuses to read thousands of digits
        raise UsageError(f"The metric '{name}@{of_class}' names no class; give its number, as in {name}@3.")
    one = functools.partial(combine, of_class=int(of_class))
    return dataclasses.replace(metric, score=lambda outputs, labels: one(reduce(outputs, labels)), combine=one)


def _users_metric(name: str) -> Metric:
    file, _, function = name.rpartition(":")
    if not Path(file).is_file():
        raise UsageError(f"There is no file '{file}'; give the metric as FILE.py:FUNCTION.")
    if is_built_in(function):
        raise UsageError(f"'{name}' has the name of a built-in metric; name the function otherwise.")
    users = getattr(user_code.load(Path(file)), function, None)
    if not callable(users):
        raise UsageError(f"'{file}' has no function '{function}'; give the metric as FILE.py:FUNCTION.")
    _check_takes_two(name, users)

    def score(outputs: Outputs, labels: Any) -> Array | float:
        with user_code.running(Path(file), f"Metric '{function}' failed:"):
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
