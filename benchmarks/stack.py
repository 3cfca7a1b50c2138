"""A model of equal layers, so that their number says how long it runs: 42 are 5% slower than 40, and 48 are 20%."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from toolchain.pipeline.pack_model import pack_as_is

LAYERS = 40
_CHANNELS, _SIDE = 32, 14


def pack_stack(layers: int, folder: Path) -> Path:
    """A bundle of `layers` convolutions 3 x 3, 32 channels at 14 x 14: about 2 ms for 40 on one core."""
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "stack.onnx"
    onnx.save(_model(layers), model)
    bundle, _ = pack_as_is(str(model), (), device_profiles.detect(this_machine()), 1, folder)
    return bundle


def _model(layers: int) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    shape = [1, _CHANNELS, _SIDE, _SIDE]
    nodes, weights = [], []
    for number in range(layers):
        scale = np.sqrt(2 / (9 * _CHANNELS))
        weight = rng.normal(0, scale, (_CHANNELS, _CHANNELS, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{number}"))
        nodes.append(helper.make_node("Conv", [f"x{number}", f"w{number}"], [f"c{number}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{number}"], [f"x{number + 1}"]))
    graph = helper.make_graph(
        nodes,
        "stack",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(f"x{layers}", TensorProto.FLOAT, shape)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
