"""What one inference of a model computes and has to move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """Counted at the shapes of the samples that a model is measured with.

    Attributes:
        operations: two per multiply-accumulate of its products (Conv, Gemm, MatMul, LSTM and their kin), padding
            counted as data, by what they are computed in; nothing else counts as an operation.
        weight_bytes: the constants that it reads, each once, by what they are computed in or stored as, whichever is
            smaller; of a table, the rows that are looked up.
        tensor_bytes: the graph's inputs and outputs.
        uncounted: operators with products that are not among the operations.
    """

    operations: Mapping[str, int]
    weight_bytes: Mapping[str, int]
    tensor_bytes: int
    uncounted: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """The least that has to be moved: weights once, inputs and outputs; not what is in between."""
        return sum(self.weight_bytes.values()) + self.tensor_bytes
