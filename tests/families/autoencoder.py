"""Convolutional autoencoder that makes pieces of a photograph eight times smaller and restores them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from tests.families import Part, Sample, _data, _training

TITLE = "Autoencoder"
INPUTS = ("image=float32[N,1,H,W]",)
METRICS = ("psnr",)
INT8_ERROR = 0.1
_SIZES = ((24, 24), (24, 40), (40, 24))


def make() -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 2, 1),
        nn.BatchNorm2d(2),
        nn.Conv2d(2, 32, 1),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(32, 1, 3, padding=1),
    )
    return _training.load(module, "autoencoder")


def train(module: nn.Module) -> None:
    def loss(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return nn.functional.mse_loss(module(batch["image"]), batch["image"])

    _training.fit(module, samples("train", 600), loss, 250, 1e-2)


def samples(part: Part, n: int) -> list[Sample]:
    rng = np.random.default_rng(part == "test")
    pieces = (_data.photograph_piece(part, *_SIZES[index % len(_SIZES)], rng)[None] for index in range(n))
    return [{"image": piece, "labels": piece} for piece in pieces]
