"""Distributions of a model's inputs and outputs over calibration samples, for the device to compare its own with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runtimes.bundles.distribution import Distribution
from runtimes.sample_arrays import Rows, flat

_BINS = 10  # deciles, as is usual for the population stability index
_MAX_VALUES = 1 << 20  # of an array, evenly spread, from which its deciles are computed


def distributions(arrays: Mapping[str, Rows]) -> dict[str, Distribution]:
    """Estimate the distribution of each numeric array; arrays without a finite value have none.

    Bins are cut at the deciles. A value that makes up more than a tenth of all (the black of a picture's background)
    makes some deciles equal, and then there are fewer bins, each with its true share.
    """
    found = {name: _distribution(array) for name, array in sorted(arrays.items()) if array.dtype.kind in "biuf"}
    return {name: distribution for name, distribution in found.items() if distribution is not None}


def _distribution(array: Rows) -> Distribution | None:
    elements = flat(array)
    values = elements[:: elements.size // _MAX_VALUES + 1].astype(np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    finite = elements[np.isfinite(elements)] if elements.dtype.kind == "f" else elements
    deciles = np.quantile(values, np.arange(1, _BINS) / _BINS, method="inverted_cdf")
    edges = np.unique(deciles[deciles > values.min()])  # a bin begins at its edge; the lowest value needs no edge
    bins = np.searchsorted(edges, values, side="right")
    shares = np.bincount(bins, minlength=len(edges) + 1) / values.size
    return Distribution(float(finite.min()), float(finite.max()), tuple(edges.tolist()), tuple(shares.tolist()))
