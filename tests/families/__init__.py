"""Families of models as people write them, one per file, each trained briefly on real data: the folder is the registry.

A file is an example of a model that `edgewright build FILE.py:make` takes. `tests/toolchain/test_families.py` takes
each through export and int8, `benchmarks/families.py` through whole builds, which fill docs/families.md.
"""

from __future__ import annotations

from typing import Literal, Protocol, cast

from torch import nn

from runtimes import plugins
from runtimes.tensors import Array

Part = Literal["train", "test"]
Sample = dict[str, Array]
"""Arrays by input, without the batch axis, and the labels under names that begin with `labels`."""


class Family(Protocol):
    """A module of this folder.

    Attributes:
        TITLE: the family's name for people.
        INPUTS: what `--input` gets, one text per input.
        METRICS: what `--metric` gets; none for a model without labels.
        INT8_ERROR: the largest relative error of an output in int8, at any size, untrained.
    """

    TITLE: str
    INPUTS: tuple[str, ...]
    METRICS: tuple[str, ...]
    INT8_ERROR: float

    def make(self) -> nn.Module:
        """Build the model with seeded weights, or with trained ones if there are any; see `_training.load`."""

    def train(self, module: nn.Module) -> None:
        """Train for seconds, in place."""

    def samples(self, part: Part, n: int) -> list[Sample]:
        """Make or read samples, the same ones every time; those to test on are not among those to train on."""


def names() -> tuple[str, ...]:
    """List the families."""
    return plugins.names(__name__)


def family(name: str) -> Family:
    """Load a family.

    Raises:
        NotInstalledError: it needs a package that is not installed.
    """
    return cast(Family, plugins.load(__name__, name, "family"))
