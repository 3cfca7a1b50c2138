"""Extra work within each inference's time, so that a gate can be tested on a slowdown that it did not find itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from runtimes.tensors import Array

Call = Callable[[dict[str, Array]], object]

_SIZE = 16  # so small that a product takes about a microsecond, and no library spreads it over threads


def with_products(call: Call, products: int) -> Call:
    """Let an inference be followed by a number of float32 products, 16 x 16 each; by none, it is the call itself.

    Products are what most models spend their time on, so a neighbour or a falling clock slows them alike.
    """
    if products == 0:
        return call
    matrix = np.full((_SIZE, _SIZE), 1 / _SIZE, np.float32)
    out = np.empty_like(matrix)

    def slowed(feeds: dict[str, Array]) -> object:
        outputs = call(feeds)
        for _ in range(products):
            np.matmul(matrix, matrix, out=out)
        return outputs

    return slowed
