"""The work of one inference of a model: operations, and bytes that have to be moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

KernelKind = Literal[
    "convolution",
    "depthwise convolution",
    "matrix product",
    "dynamic matrix product",
    "recurrent",
    "function",
    "elementwise",
    "movement",
    "conversion",
]
"""Classes of kernels that reach a similar share of what a processor can do.

A function computes exponentials, roots or means; what is elementwise adds, multiplies or compares, and is fused by
runtimes where it follows a product; a movement is pooling, transposing, and whatever else; a conversion is between
integers and floats. The operands of a dynamic product are quantized while it runs.
"""


@dataclass(frozen=True)
class KernelWork:
    """The work of kernels of one inference that are alike.

    Attributes:
        precision: the precision that products are computed in; of other kernels, that of the data that they write.
        operations: number of operations of one of them, two per multiply-accumulate; 0 without products.
        bytes: bytes that one of them reads and writes.
        count: number of such kernels.
    """

    kind: KernelKind
    precision: str
    operations: int
    bytes: int
    count: int


@dataclass(frozen=True)
class Work:
    """Operations and bytes of one inference, at the shapes of the samples that the model is measured with.

    Attributes:
        operations: number of operations by precision: two per multiply-accumulate of Conv, Gemm, MatMul, LSTM and
            similar operators, with padding counted as data; no other operator counts.
        weight_bytes: bytes of the constants that are read, by precision. Each counts once, in the type that it is
            computed in or stored as, whichever is smaller; a lookup table counts with the rows that are read.
        tensor_bytes: bytes of the graph's inputs and outputs.
        uncounted: operators that multiply and that `operations` leaves out.
        kernels: the kernels that ONNX Runtime fuses the nodes to; empty if they were not counted.
    """

    operations: Mapping[str, int]
    weight_bytes: Mapping[str, int]
    tensor_bytes: int
    uncounted: tuple[str, ...] = ()
    kernels: tuple[KernelWork, ...] = ()

    @property
    def bytes(self) -> int:
        """Least number of bytes to move: weights once, inputs and outputs, without the tensors in between."""
        return sum(self.weight_bytes.values()) + self.tensor_bytes
