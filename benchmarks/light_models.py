"""Architectures without trained weights that the `onnx` package ships, for latency alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from benchmarks.zoo import ZooModel

_FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
NAMES = tuple(sorted(file.stem.removeprefix("light_") for file in _FOLDER.glob("light_*.onnx")))


def prepare(name: str, folder: Path) -> ZooModel:
    """Write random samples for a model; its weights are all alike, which no kernel for dense tensors minds."""
    file = _FOLDER / f"light_{name}.onnx"
    model = onnx.load(file)
    weights = {tensor.name for tensor in model.graph.initializer}
    (given,) = (value for value in model.graph.input if value.name not in weights)
    shape = [dimension.dim_value for dimension in given.type.tensor_type.shape.dim]
    samples = np.random.default_rng(0).standard_normal((4, *shape)).astype(np.float32)
    paths = (folder / f"{name}-calibration.npz", folder / f"{name}-evaluation.npz")
    for path in paths:
        np.savez(path, **{given.name: samples if shape[0] != 1 else samples[:, 0]})
    return ZooModel(name, file, *paths, "parity", 1.0, "weights of one value")
