"""Encoder and decoder with skip connections, as U-Net; finds the pixels of a digit on a photograph."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tests.families import Part, Sample, _data, _training

TITLE = "U-Net"
INPUTS = ("image=float32[N,1,H,W]",)
METRICS = ("iou",)
INT8_ERROR = 0.1
_SIZES = ((32, 32), (32, 48), (48, 32))


class UNet(nn.Module):
    """Images [N, 1, H, W], multiples of 4, to the logits of background and digit, [N, 2, H, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.encoders = nn.ModuleList([_double(1, 16), _double(16, 32)])
        self.bottom = _double(32, 64)
        self.ups = nn.ModuleList([nn.ConvTranspose2d(64, 32, 2, 2), nn.ConvTranspose2d(32, 16, 2, 2)])
        self.decoders = nn.ModuleList([_double(64, 32), _double(32, 16)])
        self.head = nn.Conv2d(16, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        x, skips = image, []
        for encoder in self.encoders:
            x = encoder(x)
            skips.append(x)
            x = nn.functional.max_pool2d(x, 2)
        x = self.bottom(x)
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(skips)):
            x = decoder(torch.cat([up(x), skip], dim=1))
        logits: Tensor = self.head(x)
        return logits


def _double(before: int, channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(before, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


def make() -> nn.Module:
    torch.manual_seed(0)
    return _training.load(UNet(), "unet")


def train(module: nn.Module) -> None:
    def loss(batch: dict[str, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(module(batch["image"]), batch["labels"])

    _training.fit(module, samples("train", 600), loss, 100, 1e-2)


def samples(part: Part, n: int) -> list[Sample]:
    """Draw one digit on a piece of a photograph, and label the pixels that it covers by half or more."""
    digits, _ = _data.digits(part)
    rng = np.random.default_rng(part == "test")
    made = []
    for index in range(n):
        height, width = _SIZES[index % len(_SIZES)]
        image = 0.5 * _data.photograph_piece(part, height, width, rng)
        side = int(rng.integers(16, 30))
        top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
        ink = np.zeros((height, width), np.float32)
        ink[top : top + side, left : left + side] = _data.enlarged(digits[rng.integers(len(digits))], side, side)
        made.append({"image": np.maximum(image, ink)[None], "labels": (ink > 0.5).astype(np.int64)})
    return made
