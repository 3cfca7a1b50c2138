"""Inverted residuals with depthwise convolutions, squeeze-and-excite and hard swish, as MobileNetV3; on digits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.families import Part, Sample, _training
from tests.families._classifiers import class_loss, images

TITLE = "MobileNetV3"
INPUTS = ("image=float32[N,1,H,W]",)
METRICS = ("top1",)
INT8_ERROR = 0.15


class Excite(nn.Module):
    """A weight for each channel, from the means of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.down, self.up = nn.Conv2d(channels, channels // 4, 1), nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = nn.functional.hardsigmoid(self.up(self.down(self.pool(x)).relu()))
        return x * weights


class InvertedResidual(nn.Module):
    """A depthwise convolution on more channels than before and behind it."""

    def __init__(self, before: int, inner: int, channels: int, stride: int) -> None:
        super().__init__()
        self.adds = stride == 1 and before == channels
        self.layers = nn.Sequential(
            nn.Conv2d(before, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.Hardswish(),
            nn.Conv2d(inner, inner, 3, stride, padding=1, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            nn.Hardswish(),
            Excite(inner),
            nn.Conv2d(inner, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.layers(x)
        return x + inner if self.adds else inner


def make() -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.Hardswish(),
        InvertedResidual(16, 64, 24, stride=2),
        InvertedResidual(24, 96, 24, stride=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, 64),
        nn.Hardswish(),
        nn.Linear(64, 10),
    )
    return _training.load(module, "mobilenet")


def train(module: nn.Module) -> None:
    _training.fit(module, samples("train", 1000), lambda batch: class_loss(module, batch), 150, 1e-2)


def samples(part: Part, n: int) -> list[Sample]:
    return images(part, n)
