"""One metric per file: `score(outputs, labels)` and `higher_is_better`.

`score` returns one score per sample where the metric is their mean, else one number.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

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
    score = getattr(_import_file(Path(file)), function, None)
    if not callable(score):
        raise UsageError(f"'{file}' has no function '{function}'; give the metric as FILE.py:FUNCTION.")
    return Metric(function, score, bool(getattr(score, "higher_is_better", True)))


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"There is no file '{path}'; give the metric as FILE.py:FUNCTION.")
    spec = importlib.util.spec_from_file_location(f"_metric_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses and pickle look a class's module up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the user's file may raise anything, or be a script that exits
        raise UsageError(f"'{path}' cannot be imported: {type(error).__name__}: {error}") from error
    return module


def only(outputs: Mapping[str, Array]) -> Array:
    """The first output, which the classification metrics score."""
    return next(iter(outputs.values()))
