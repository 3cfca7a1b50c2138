"""Saturation that is predicted from samples, beside what a CPU without VNNI computes: an emulated one.

    python -m benchmarks.saturation | tee benchmarks/results/saturation.txt

Each layer is run by itself on the same integers: natively, on a CPU with VNNI, and under `qemu-x86_64-static` as
the CPU that the AVX2 profile names. Needs Debian's `qemu-user-static`, and a machine with VNNI.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import torch
from onnx import numpy_helper, parser
from onnx_ir.passes.common import RemoveUnusedNodesPass
from torch import nn

from benchmarks.zoo import efficientnet
from hwbench.data import dataset
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.analysis.im2col import columns
from toolchain.analysis.saturation import LayerSaturation, saturation
from toolchain.candidates.defaults import DEFAULT_CALIBRATION, DEFAULT_CORRECTIONS
from toolchain.graphs.edits import Edits, array_of
from toolchain.models.onnx_model import load_ir, open_model
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.qdq_placement import CLAMPS
from toolchain.recipes.recipe import Recipe

EMULATOR = "qemu-x86_64-static"
_PROFILE = "x86-64-v3-avx2"
_VNNI = frozenset({"avx512_vnni", "avx_vnni"})
_SAMPLES = 4
_RUN = """
import sys, numpy as np, onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
with np.load(sys.argv[2]) as feeds:
    outputs = session.run(None, dict(feeds))
np.savez(sys.argv[3], **{str(index): output for index, output in enumerate(outputs)})
"""


@dataclass(frozen=True)
class Computed:
    """Difference of a layer's emulated output from its native one: share of the numbers, and relative error."""

    share: float
    relative_error: float


def main() -> None:
    """Print both lists for every model and scheme."""
    cpu = emulated_cpu()
    if not _VNNI & set(this_machine().isa):
        sys.exit("This machine has no VNNI, so its own results saturate, too.")
    print(f"native: {this_machine().cpu}; emulated: {cpu}, {EMULATOR}; onnxruntime {version('onnxruntime')}")
    safe = device_profiles.load(_PROFILE).quantization["onnxruntime"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, source, samples in _models(folder):
            for scheme, words in ((QuantizationScheme("uint8"), "u8 x s8"), (safe, f"as {_PROFILE} asks")):
                _compare(f"{title}, {words}", source, samples, scheme, folder)


def emulated_cpu() -> str:
    """The core that the AVX2 profile is emulated as."""
    emulation = device_profiles.load(_PROFILE).emulation
    assert emulation is not None
    return emulation.qemu_cpu


def compute(model: Path, feeds: Mapping[str, Array], folder: Path, *, emulated: bool) -> list[Array]:
    """A model's outputs, computed in a process on this CPU or on the emulated one."""
    np.savez(folder / "feeds.npz", **feeds)
    command = [EMULATOR, "-cpu", emulated_cpu()] if emulated else []
    command += [sys.executable, "-c", _RUN, str(model), str(folder / "feeds.npz"), str(folder / "outputs.npz")]
    subprocess.run(
        command, check=True, capture_output=True, cwd=folder, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    )
    with np.load(folder / "outputs.npz") as outputs:
        return [outputs[str(index)] for index in range(len(outputs.files))]


def apart(model: ir.Model, names: list[str]) -> tuple[ir.Model, ir.Model]:
    """A model that gives the integers that layers read, and one of the same layers, each fed by an input of its own."""
    reader, layers = model.clone(), model.clone()
    for graph in (reader.graph, layers.graph):
        graph.outputs.clear()
    layers.graph.inputs.clear()
    for index, name in enumerate(names):
        node = next(node for node in reader.graph if node.name == name)
        _give(Edits(reader.graph), _dequantizer(node).inputs[0], ir.DataType.UINT8)
        node = next(node for node in layers.graph if node.name == name)
        fed = ir.Value(name=f"integers_{index}", type=ir.TensorType(ir.DataType.UINT8))
        fed.shape = ir.Shape([None] * len(node.inputs[0].shape))
        layers.graph.inputs.append(fed)
        edits, source = Edits(layers.graph), _dequantizer(node)
        own = edits.node("DequantizeLinear", [fed, *source.inputs[1:]], f"real_{index}")
        layers.graph.insert_before(node, own)
        node.replace_input_with(0, own.outputs[0])
        _give(edits, *_written(node))
    for part in (reader, layers):
        RemoveUnusedNodesPass()(part)
    return reader, layers


def _dequantizer(node: ir.Node, index: int = 0) -> ir.Node:
    producer = node.inputs[index].producer()
    assert producer is not None
    return producer


def _written(node: ir.Node) -> tuple[ir.Value, ir.DataType]:
    """Find the output that a layer's kernel writes: integers where a QuantizeLinear follows, perhaps behind a clamp."""
    value = node.outputs[0]
    for _ in range(2):
        readers = [use.node for use in value.uses()]
        for reader in readers:
            if reader.op_type == "QuantizeLinear":
                return reader.outputs[0], ir.DataType.UINT8
        if len(readers) == 1 and readers[0].op_type in CLAMPS:
            value = readers[0].outputs[0]
    return node.outputs[0], ir.DataType.FLOAT


def _give(edits: Edits, value: ir.Value, dtype: ir.DataType) -> None:
    copy = edits.node("Identity", [value], f"{value.name}.given")  # several layers may read one value
    copy.outputs[0].type = ir.TensorType(dtype)
    edits.graph.append(copy)
    edits.graph.outputs.append(copy.outputs[0])


def differences(model: ir.Model, names: list[str], feeds: Mapping[str, Array], folder: Path) -> dict[str, Computed]:
    """Compare the emulated CPU with this one, layer by layer."""
    reader, layers = apart(model, names)
    fed = {f"integers_{index}": array for index, array in enumerate(_read(reader, feeds))}
    ir.save(layers, folder / "layers.onnx")
    native, emulated = (compute(folder / "layers.onnx", fed, folder, emulated=flag) for flag in (False, True))
    zeros = [_zero_point(layers.graph, name) for name in names]
    return {name: _difference(*found) for name, *found in zip(names, native, emulated, zeros)}


def _read(reader: ir.Model, feeds: Mapping[str, Array]) -> list[Array]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    integers: list[Array] = ort.InferenceSession(ir.to_proto(reader).SerializeToString(), options).run(
        None, dict(feeds)
    )
    return integers


def _zero_point(graph: ir.Graph, name: str) -> int:
    """Of what a layer's kernel writes; 0 where that is real numbers."""
    written, dtype = _written(next(node for node in graph if node.name == name))
    return int(array_of(written.producer().inputs[2])) if dtype == ir.DataType.UINT8 else 0


def _difference(native: Array, emulated: Array, zero_point: int) -> Computed:
    a, b = native.astype(np.float64) - zero_point, emulated.astype(np.float64) - zero_point
    return Computed(float(np.mean(a != b)), float(np.linalg.norm(a - b) / (np.linalg.norm(a) or 1.0)))


def _compare(title: str, source: Path, samples: Path, scheme: QuantizationScheme, folder: Path) -> None:
    opened = open_model(source)
    data = dataset.read(samples, opened.inputs)
    recipe = Recipe("int8", DEFAULT_CALIBRATION, scheme, corrections=DEFAULT_CORRECTIONS)
    file = quantize(opened, recipe, data, folder / "int8.onnx").path
    feeds = {name: array[:_SAMPLES] for name, array in data.arrays.items()}
    predicted = saturation(load_ir(file), dataclasses.replace(data, arrays=feeds, n=_SAMPLES))
    seen = differences(load_ir(file), [layer.node for layer in predicted], feeds, folder)
    whole = [compute(file, feeds, folder, emulated=flag)[0] for flag in (False, True)]
    noise = float(((whole[0] - whole[1]) ** 2).sum())
    ratio = f"{10 * np.log10(float((whole[0] ** 2).sum()) / noise):.1f} dB" if noise else "identical"
    print(f"\n{title}: emulated against native output of the whole model: {ratio}")
    _print(predicted, seen)
    hidden = [layer.node for layer in predicted if layer.largest_excess and not seen[layer.node].share]
    for name, share in _in_int32(load_ir(file), hidden, feeds, folder).items():
        print(f"{name}: its 8-bit output rounds or clips it away; of its int32 sums, {share:.5%} differ")


def _in_int32(model: ir.Model, names: list[str], feeds: Mapping[str, Array], folder: Path) -> dict[str, float]:
    """The share of a layer's sums that the emulated CPU computes otherwise, where nothing rounds or clips them."""
    shares = {}
    reader, _ = apart(model, names)
    for name, integers in zip(names, _read(reader, feeds) if names else []):
        node = next(node for node in model.graph if node.name == name)
        source, weight = (_dequantizer(node, index) for index in range(2))
        matrix = array_of(weight.inputs[0])
        column = columns(node, matrix.shape, integers, int(array_of(source.inputs[2])))
        k_last = np.moveaxis(matrix, 1, -1).reshape(len(matrix), -1)
        rows = np.stack([column(k) for k in range(k_last.shape[1])], axis=1).astype(np.uint8)
        product = parser.parse_model(
            f'<ir_version: 8, opset_import: ["" : 17]> product (uint8[M,{rows.shape[1]}] x) => (int32[M,N] y)'
            " { y = MatMulInteger(x, w) }"
        )
        product.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(k_last.T), "w"))
        onnx.save(product, folder / "product.onnx")
        native, emulated = (
            compute(folder / "product.onnx", {"x": rows}, folder, emulated=flag)[0] for flag in (False, True)
        )
        shares[name] = float(np.mean(native != emulated))
    return shares


def _print(predicted: list[LayerSaturation], seen: Mapping[str, Computed]) -> None:
    listed = [layer for layer in predicted if layer.largest_excess]
    differing = {name for name, difference in seen.items() if difference.share}
    if listed or differing:
        print(f"{'':36}{'predicted':^32}{'emulated':^22}")
        print(f"{'layer':36}{'pairs':>10}{'excess':>10}{'error':>10}{'outputs':>12}{'error':>10}")
    for layer in predicted:
        other = seen[layer.node]
        if layer.largest_excess or other.share:
            figures = f"{layer.share:10.4%}{layer.largest_excess:10}{layer.relative_error:10.4f}"
            print(f"{layer.node:36}{figures}{other.share:12.4%}{other.relative_error:10.4f}")
    both = differing & {layer.node for layer in listed}
    print(
        f"{len(predicted)} layers of u8 x s8: {len(listed)} predicted to saturate, {len(differing)} differ, "
        f"{len(both)} are in both lists"
    )


def _models(folder: Path) -> list[tuple[str, Path, Path]]:
    real = efficientnet.prepare()
    torch.manual_seed(0)
    random = folder / "residual.onnx"
    images = torch.rand(16, 3, 64, 64)
    program = torch.onnx.export(
        _Residual().eval(),
        (images[:2],),
        dynamo=True,
        input_names=["image"],
        verbose=False,
        dynamic_shapes=({0: torch.export.Dim("N")},),
    )
    assert program is not None
    program.save(str(random))
    np.savez(folder / "images.npz", image=images.numpy())
    return [
        ("EfficientNet-lite0", real.onnx, real.calibration),
        ("ResNet-18-like, random weights", random, folder / "images.npz"),
    ]


class _Residual(nn.Module):
    """ResNet-18's layers at 64 x 64, uniformly random: half of the weights are large, so that many pairs saturate."""

    def __init__(self) -> None:
        super().__init__()
        widths = [64, 64, 128, 256, 512]
        self.stem = nn.Conv2d(3, 64, 7, 2, 3)
        self.pool = nn.MaxPool2d(3, 2, 1)
        pairs = [(a, b, stride) for a, b in pairwise(widths) for stride in ((1 if a == b else 2), 1)]
        self.blocks = nn.Sequential(*(_Block(b if i % 2 else a, b, s) for i, (a, b, s) in enumerate(pairs)))
        self.head = nn.Linear(512, 100)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Scores [N,100] of images [N,3,64,64]."""
        features: torch.Tensor = self.blocks(self.pool(self.stem(image).relu()))
        scores: torch.Tensor = self.head(features.mean((2, 3)))
        return scores


class _Block(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1)
        self.second = nn.Conv2d(after, after, 3, 1, 1)
        self.around = nn.Conv2d(before, after, 1, stride) if before != after or stride > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = (self.second(self.first(x).relu()) + self.around(x)).relu()
        return y


if __name__ == "__main__":
    if shutil.which(EMULATOR) is None:
        sys.exit(f"There is no {EMULATOR}; apt-get install qemu-user-static brings it.")
    main()
