"""Inference of a model at other sizes than those of a feed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from runtimes.tensors import Array, Feeds, TensorSpec
from toolchain.sources.sizes import resized, sizes_of

Call = Callable[[Mapping[str, Array]], Sequence[Array]]
"""Computes a model's outputs from arrays by input; raises an exception where the model does not take their sizes."""

MAX_ELEMENTS = 1 << 24
"""Of the inputs together: enough for a long sequence, little enough for any machine."""


@dataclass(frozen=True)
class SizedRun:
    """One inference, which a model took or refused.

    Attributes:
        feed: the resized arrays.
        outputs: the model's outputs; empty if it refused the sizes.
        error: the exception by which it refused them; None if it took them.
    """

    feed: Mapping[str, Array]
    outputs: Sequence[Array] = ()
    error: Exception | None = None


def run_resized(
    specs: Sequence[TensorSpec], feed: Feeds, sizes: Mapping[str, int], call: Call, most: int = MAX_ELEMENTS
) -> SizedRun | None:
    """Run a model on a feed that is cut or repeated to other sizes.

    Args:
        specs: the inputs.
        feed: the arrays to resize.
        sizes: a size for every dynamic dimension.
        call: the model.
        most: the largest number of elements of all inputs.

    Returns:
        None if the sizes were not tried: another one than the feed's is below 1, or there are too many elements.
    """
    usual = sizes_of(specs, feed)
    if any(size < 1 and size != usual[name] for name, size in sizes.items()):
        return None
    if sum(math.prod(spec.resolve(sizes)) for spec in specs) > most:
        return None
    arrays = resized(specs, feed, sizes)
    try:
        return SizedRun(arrays, call(arrays))
    except Exception as error:  # a model may raise any exception
        return SizedRun(arrays, error=error)
