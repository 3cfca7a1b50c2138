"""Parts that the classifiers of images share."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from tests.families import Part, Sample, _data

SIZES = ((24, 24), (32, 24), (24, 32), (32, 32))


def class_loss(module: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Compute the cross entropy of a batch of images."""
    return nn.functional.cross_entropy(module(batch["image"]), batch["labels"])


def images(part: Part, n: int, sizes: tuple[tuple[int, int], ...] = SIZES) -> list[Sample]:
    """Make handwritten digits of each size in turn, with their classes."""
    return [{"image": image, "labels": np.int64(label)} for image, label in _data.enlarged_digits(part, n, sizes)]
