"""Arithmetic that a test computes in: what a graph says, or what this CPU's kernels make of it.

A test of what a quantizer writes asks for the first, and holds on any CPU. A test of the kernels asks for the second,
and takes the scheme that suits the CPU (the fixture `cpu_scheme`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort

from runtimes.tensors import Array
from toolchain.models import ort_session


def exactly(model: Path | ir.Model, feeds: Mapping[str, Array]) -> list[Array]:
    """All outputs as the graph says, on any CPU."""
    outputs: list[Array] = ort_session.exact_session(model).run(None, dict(feeds))
    return outputs


@lru_cache(maxsize=1)
def saturates() -> bool:
    """Tell whether ONNX Runtime's u8 x s8 kernels saturate in int16 on this CPU; asked of a product, since an emulated
    CPU shows the flags of the real one.
    """
    proto = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        product (uint8[1,2] x, int8[2,1] w) => (int32[1,1] y) { y = MatMulInteger(x, w) }"""
    )
    feeds = {"x": np.full((1, 2), 255, np.uint8), "w": np.full((2, 1), 127, np.int8)}
    (sums,) = ort.InferenceSession(proto.SerializeToString()).run(None, feeds)
    return int(sums[0, 0]) != 2 * 255 * 127
