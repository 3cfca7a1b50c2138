"""Limits of a server: how many, how much and how long. Each has a default, and a model's inputs bound the bytes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from runtimes import cpu
from runtimes.errors import UsageError
from runtimes.sampling.control_groups import cpu_quota
from runtimes.serving.json_tensors import longest_value
from runtimes.tensors import TensorSpec

_HEAD_BYTES = 64 << 10  # names, shapes and identifiers of a request
_SPACE = 2  # a JSON text may be indented, so that it takes twice the bytes of its values


@dataclass(frozen=True)
class Limits:
    """Limits that keep one client from taking the server from all others.

    Attributes:
        requests: inferences at once. More than there are processors only take longer, each.
        waiting: requests that may wait for their turn.
        connections: open connections. One more closes that which has waited longest for its client.
        request_bytes: bytes of a request.
        json_bytes: bytes of JSON in a request, and in an answer; a JSON text takes many times its size in memory.
        request_s: seconds that a request may wait for its turn, its body may take to arrive, its inference may run, and
            its answer may take to leave.
        idle_s: seconds that a client may take for a request's headers, and be silent while it sends or receives a body.
        grace_s: seconds that requests have to finish after the server was told to stop.
    """

    requests: int = field(default_factory=lambda: max(2, cpu.threads_at_once(cpu.count(), cpu_quota())))
    waiting: int = 64
    connections: int = 256
    request_bytes: int = 64 << 20
    json_bytes: int = 8 << 20
    request_s: float = 60.0
    idle_s: float = 10.0
    grace_s: float = 10.0

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not (value > 0 and math.isfinite(value)):
                raise UsageError(f"A server cannot have the limit {name} = {value}; give a number above 0.")

    def for_model(self, inputs: Sequence[TensorSpec], largest_sizes: Mapping[str, int]) -> Limits:
        """Lower the limits of bytes to what requests for a model can need.

        Args:
            inputs: the model's inputs.
            largest_sizes: the largest sizes of dynamic dimensions; one that is missing has no limit of its own.
        """
        names = {size for spec in inputs for size in spec.shape if isinstance(size, str)}
        if not names <= set(largest_sizes):
            return self
        counts = [math.prod(spec.resolve(largest_sizes)) for spec in inputs]
        raw = sum(count * _item_bytes(spec) for spec, count in zip(inputs, counts))
        text = sum(count * longest_value(spec.dtype) for spec, count in zip(inputs, counts))
        return dataclasses.replace(
            self,
            request_bytes=min(self.request_bytes, _HEAD_BYTES + max(raw, _SPACE * text)),
            json_bytes=min(self.json_bytes, _HEAD_BYTES + _SPACE * text),
        )


def _item_bytes(spec: TensorSpec) -> int:
    return 2 if spec.dtype == "bfloat16" else np.dtype(spec.dtype).itemsize  # which NumPy lacks
