"""Residual blocks and global pooling, as ResNet, for images of any size; on scikit-learn's handwritten digits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.families import Part, Sample, _training
from tests.families._classifiers import class_loss, images

TITLE = "ResNet"
INPUTS = ("image=float32[N,1,H,W]",)
METRICS = ("top1",)
INT8_ERROR = 0.1


class Block(nn.Module):
    """Two convolutions beside a shortcut, which has a convolution of its own where the shape changes."""

    def __init__(self, before: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, channels, 3, stride, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.first_norm, self.second_norm = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != channels:
            self.shortcut = nn.Sequential(nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.first_norm(self.first(x)).relu()
        summed: Tensor = self.second_norm(self.second(inner)) + self.shortcut(x)
        return summed.relu()


def make() -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Block(16, 16),
        Block(16, 32, stride=2),
        Block(32, 64, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    return _training.load(module, "resnet")


def train(module: nn.Module) -> None:
    _training.fit(module, samples("train", 1000), lambda batch: class_loss(module, batch), 150, 1e-2)


def samples(part: Part, n: int) -> list[Sample]:
    return images(part, n)
