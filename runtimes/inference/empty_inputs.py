"""Calls with an empty dimension, such as a batch of no samples, which are answered or refused without a runtime.

ONNX Runtime 1.32 ends the process at an LSTM over an empty batch, and OpenVINO 2026.4 makes numbers up for one over no
steps.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runtimes.bundles.manifest import Artifact
from runtimes.bundles.states import step_inputs
from runtimes.errors import FeedError
from runtimes.tensors import Array, TensorSpec


def empty_outputs(artifact: Artifact, sizes: Mapping[str, int]) -> dict[str, Array] | None:
    """Answer a call of which at least one dynamic dimension is empty.

    Args:
        artifact: the model's inputs, outputs, states, and the dimensions that may be empty.
        sizes: the sizes that the inputs gave to dynamic dimensions, one of which is 0.

    Returns:
        An empty array for every output, if their shapes say that each is empty. None if the runtime has to compute:
        only states are empty, as a cache before the first step, or what was empty in a sample of the build.

    Raises:
        FeedError: another dimension is empty, and an output would hold values nevertheless.
    """
    empty = {name for name, size in sizes.items() if size == 0}
    if all(_is_known_empty(spec, sizes, empty) for spec in artifact.outputs):
        return {spec.name: np.zeros(spec.resolve(sizes), spec.dtype) for spec in artifact.outputs}
    batch = {spec.shape[0] for spec in step_inputs(artifact.inputs, artifact.states) if spec.shape}
    grows = {size for spec in artifact.inputs if spec.name in artifact.states for size in spec.shape} - batch
    wrong = sorted(empty - grows - set(artifact.limits.may_be_empty))
    if wrong:
        raise FeedError(f"Dimension {wrong[0]} is 0, and the outputs are not empty then; it has to be at least 1.")
    return None


def _is_known_empty(spec: TensorSpec, sizes: Mapping[str, int], empty: set[str]) -> bool:
    names = {size for size in spec.shape if isinstance(size, str)}
    return bool(names & empty) and names <= set(sizes) and spec.dtype != "bfloat16"  # which NumPy lacks
