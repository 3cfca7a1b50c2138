"""A runtime that computes nothing: its outputs are zeros of the right shape, so that tests need no real runtime."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runtimes.bundles.manifest import Artifact
from runtimes.errors import BackendError
from runtimes.inference.session import Session
from runtimes.tensors import Array, Feeds, TensorSpec, check_feeds


def version() -> str:
    """Return the null runtime's version."""
    return "1"


def load(artifact: Artifact, model: bytes) -> Session:
    """Open an artifact; its bytes may be anything."""
    return _NullSession(artifact)


class _NullSession(Session):
    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        sizes = check_feeds(self.inputs, feeds)
        return {spec.name: _zeros(spec, sizes) for spec in self.outputs}


def _zeros(spec: TensorSpec, sizes: Mapping[str, int]) -> Array:
    try:
        return np.zeros(spec.resolve(sizes), spec.dtype)
    except (TypeError, ValueError, MemoryError) as error:  # NumPy lacks the dtype, or memory is short
        raise BackendError(f"The null runtime cannot make the output {spec}: {error}.") from error
