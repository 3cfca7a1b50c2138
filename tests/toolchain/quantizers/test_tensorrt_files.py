"""Files of int8 for TensorRT, parsed and built by tensorrt-rtx, which needs no GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from hwbench.data import dataset
from hwbench.machine import device_profiles
from runtimes.profile import QuantizationScheme
from toolchain.models.onnx_model import load_ir, open_model
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed; pip install edgewright[tensorrt-rtx]")

from benchmarks import tensorrt_files  # imports tensorrt_rtx

pytestmark = pytest.mark.usefixtures("one_process")

NETWORKS = {
    "conv": "c = Conv<pads=[1,1,1,1]>(x, w, b) y = Relu(c)",
    "depthwise": "c = Conv<pads=[1,1,1,1]>(x, w, b) r = Clip(c, zero, six) d = Conv<group=16>(r, deep) y = Relu(d)",
    "residual": "c = Conv<pads=[1,1,1,1]>(x, w, b) r = Relu(c) p = Conv(r, point) y = Add(p, r)",
    "concat": "c = Conv(x, w, b) m = MaxPool<kernel_shape=[3,3]>(x) p = Conv(x, w) y = Concat<axis=1>(c, m, p)",
    "gemm": "g = GlobalAveragePool(x) f = Flatten(g) h = Gemm<transB=1>(f, wide, b) r = Relu(h) y = Gemm(r, square, b)",
    "matmul": "t = Transpose<perm=[0,2,3,1]>(x) m = MatMul(t, last) r = Relu(m) y = MatMul(r, square)",
}
SHAPES = {
    "w": (16, 8, 3, 3),
    "b": (16,),
    "deep": (16, 1, 3, 3),
    "point": (16, 16, 1, 1),
    "wide": (16, 8),
    "last": (8, 16),
    "square": (16, 16),
}


def write(folder: Path, nodes: str) -> Path:
    """x float32[N,8,12,12] -> y."""
    rng = np.random.default_rng(0)
    proto = parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> net (float[N,8,12,12] x) => (float y) {{ {nodes} }}'
    )
    arrays = {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in SHAPES.items()}
    arrays |= {"zero": np.array(0, np.float32), "six": np.array(6, np.float32)}
    read = {name for node in proto.graph.node for name in node.input}
    proto.graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in arrays.items() if name in read)
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(proto, folder / "net.onnx")
    np.savez(folder / "samples.npz", x=rng.standard_normal((8, 8, 12, 12)).astype(np.float32))
    np.savez(folder / "feeds.npz", x=np.zeros((1, 8, 12, 12), np.float32))
    return folder / "net.onnx"


def int8(folder: Path, nodes: str, scheme: QuantizationScheme) -> Path:
    source = open_model(write(folder, nodes))
    samples = dataset.read(folder / "samples.npz", source.inputs)
    return quantize(source, Recipe("int8", "minmax", scheme, (), ("bias",)), samples, folder / "int8.onnx").path


@pytest.mark.parametrize("nodes", NETWORKS.values(), ids=NETWORKS.keys())
def test_int8_for_tensorrt_builds(tmp_path: Path, nodes: str) -> None:
    file = int8(tmp_path, nodes, device_profiles.load("jetson-agx-orin").quantization["tensorrt"])
    assert any(node.op_type == "QuantizeLinear" for node in load_ir(file).graph)
    engine, reason = tensorrt_files.build(file, tmp_path / "feeds.npz")
    assert engine, reason


def test_the_schemes_of_other_runtimes_do_not(tmp_path: Path) -> None:
    """So the tests above can fail."""
    for scheme in (QuantizationScheme("uint8"), QuantizationScheme("int8", symmetric=True)):
        engine, reason = tensorrt_files.build(int8(tmp_path, NETWORKS["conv"], scheme), tmp_path / "feeds.npz")
        assert engine is None
        assert reason
