"""Stacks of 3x3 convolutions before dense layers, as VGG; on scikit-learn's handwritten digits."""

from __future__ import annotations

import torch
from torch import nn

from tests.families import Part, Sample, _training
from tests.families._classifiers import class_loss, images

TITLE = "VGG"
INPUTS = ("image=float32[N,1,32,32]",)
METRICS = ("top1",)
INT8_ERROR = 0.1


def make() -> nn.Module:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    before = 1
    for channels in (16, 32, 64):
        for _ in range(2):
            layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
            before = channels
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(64 * 4 * 4, 128), nn.ReLU(), nn.Dropout(), nn.Linear(128, 10)]
    return _training.load(nn.Sequential(*layers), "vgg")


def train(module: nn.Module) -> None:
    _training.fit(module, samples("train", 1000), lambda batch: class_loss(module, batch), 150)


def samples(part: Part, n: int) -> list[Sample]:
    return images(part, n, ((32, 32),))
