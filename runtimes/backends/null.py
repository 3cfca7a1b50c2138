"""A runtime that computes nothing: zeros of the right shape, so that everything runs without hardware."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runtimes.bundles.manifest import Artifact
from runtimes.errors import BackendError
from runtimes.inference.session import Session
from runtimes.tensors import Array, Feeds, TensorSpec, check_feeds


def version() -> str:
    """The null runtime's version."""
    return "1"


def load(artifact: Artifact, model: bytes) -> Session:
    """Open any bytes at all."""
    return _NullSession(artifact)


class _NullSession(Session):
    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        sizes = check_feeds(self.inputs, feeds)
        return {spec.name: _zeros(spec, sizes) for spec in self.outputs}


def _zeros(spec: TensorSpec, sizes: Mapping[str, int]) -> Array:
    try:
        return np.zeros(spec.resolve(sizes), spec.dtype)
    except (TypeError, ValueError, MemoryError) as error:  # a dtype NumPy lacks, or more than fits
        raise BackendError(f"The null runtime cannot make the output {spec}: {error}.") from error
