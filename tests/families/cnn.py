"""Small CNN for images of 28x28, as first tutorials teach it; on scikit-learn's handwritten digits."""

from __future__ import annotations

import torch
from torch import nn

from tests.families import Part, Sample, _training
from tests.families._classifiers import class_loss, images

TITLE = "CNN for 28x28"
INPUTS = ("image=float32[N,1,28,28]",)
METRICS = ("top1",)
INT8_ERROR = 0.05


def make() -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(64 * 5 * 5, 10),
    )
    return _training.load(module, "cnn")


def train(module: nn.Module) -> None:
    _training.fit(module, samples("train", 1000), lambda batch: class_loss(module, batch), 100)


def samples(part: Part, n: int) -> list[Sample]:
    return images(part, n, ((28, 28),))
