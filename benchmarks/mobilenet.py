"""MobileNetV2 (Sandler et al., 2018, arXiv:1801.04381, table 2) with random weights, for measuring time alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class _Graph:
    """Nodes and weights as they come; batch normalisation is folded, as exporters do."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._rng = np.random.default_rng(0)

    def weight(self, shape: tuple[int, ...], scale: float) -> str:
        """A random tensor's name."""
        name = f"w{len(self.weights)}"
        array = self._rng.normal(0, scale, shape).astype(np.float32)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def constant(self, value: float) -> str:
        """A scalar's name."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name

    def add(self, op: str, *inputs: str, **attributes: object) -> str:
        """A node's output."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def convolution(
        self, x: str, channels: tuple[int, int], kernel: int, stride: int = 1, group: int = 1, relu: bool = True
    ) -> str:
        """A convolution, followed by ReLU6 or not."""
        fan_in = channels[0] // group * kernel * kernel
        weight = self.weight((channels[1], channels[0] // group, kernel, kernel), (2 / fan_in) ** 0.5)
        bias = self.weight((channels[1],), 0.01)
        y = self.add("Conv", x, weight, bias, strides=[stride] * 2, pads=[kernel // 2] * 4, group=group)
        return self.add("Clip", y, self.constant(0), self.constant(6)) if relu else y


def mobilenet_v2(path: Path) -> Path:
    """Write the model: image float32[1,3,224,224] -> scores float32[1,1000], 3.5 million parameters."""
    graph = _Graph()
    x, channels = graph.convolution("image", (3, 32), 3, stride=2), 32
    for expansion, width, stride in _blocks():
        hidden, shortcut = channels * expansion, x
        y = graph.convolution(x, (channels, hidden), 1) if expansion > 1 else x
        y = graph.convolution(y, (hidden, hidden), 3, stride, group=hidden)
        y = graph.convolution(y, (hidden, width), 1, relu=False)
        x = graph.add("Add", shortcut, y) if stride == 1 and channels == width else y
        channels = width
    x = graph.add("Flatten", graph.add("GlobalAveragePool", graph.convolution(x, (channels, 1280), 1)))
    scores = graph.add("Gemm", x, graph.weight((1280, 1000), 0.03), graph.weight((1000,), 0.01))
    model = helper.make_graph(
        graph.nodes,
        "mobilenet_v2",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 224, 224])],
        [helper.make_tensor_value_info(scores, TensorProto.FLOAT, [1, 1000])],
        graph.weights,
    )
    onnx.save(helper.make_model(model, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def _blocks() -> Iterator[tuple[int, int, int]]:
    """Expansion, channels and stride of each block, the table's repetitions written out."""
    for expansion, width, repeats, stride in _BLOCKS:
        for index in range(repeats):
            yield expansion, width, stride if index == 0 else 1
