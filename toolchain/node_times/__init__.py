"""Where an inference's time goes: one file per runtime that can tell.

Each holds `node_times(model, settings, feeds, runs) -> list[NodeTime]`, from the runtime's own profiler.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["conversion", "integer product", "float product", "other"]


@dataclass(frozen=True)
class NodeTime:
    """One kernel that ran.

    Attributes:
        node: the runtime's name for it, which begins with that of an operator of the ONNX graph.
        op: what the runtime calls it.
        kind: converting between integers and floats; a product (Conv, MatMul, Gemm, recurrent) in either; the rest.
        us: microseconds per inference, the median over runs.
    """

    node: str
    op: str
    kind: Kind
    us: float
