"""A runtime that computes nothing: zeros of the right shape, so that everything runs without hardware."""

from __future__ import annotations

import numpy as np

from runtimes.artifact import Artifact
from runtimes.session import Session
from runtimes.tensors import Array, Feeds, check_feeds


def version() -> str:
    """The null runtime's version."""
    return "1"


def load(artifact: Artifact, model: bytes) -> Session:
    """Open any bytes at all."""
    return _NullSession(artifact)


class _NullSession(Session):
    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        sizes = check_feeds(self.inputs, feeds)
        return {spec.name: np.zeros(spec.resolve(sizes), spec.dtype) for spec in self.outputs}
