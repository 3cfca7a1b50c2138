"""The demo's model: a small CNN, trained on scikit-learn's 8 x 8 digits in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from hwbench.progress import Tick
from runtimes.tensors import Array

EPOCHS = 6  # twelve are no more accurate
_BATCH = 64
_EVALUATION = 900  # of 1,797 images; enough for the gate to tell a drop of one point
_CALIBRATION = 128


@dataclass(frozen=True)
class DemoFiles:
    """The files that the demo hands to `build`, as a user would."""

    program: Path
    calibration: Path
    evaluation: Path


def prepare(folder: Path, tick: Tick) -> DemoFiles:
    """Train the model; write it, its calibration samples, and labelled images that it never saw into a folder."""
    images, labels = _digits()
    held_out, training = slice(0, _EVALUATION), slice(_EVALUATION, None)
    model = _train(images[training], labels[training], tick)
    files = DemoFiles(folder / "digits.pt2", folder / "calibration.npz", folder / "evaluation.npz")
    program = torch.export.export(model, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=({0: torch.export.Dim("N")},))
    torch.export.save(program, files.program)
    np.savez(files.calibration, image=images[training][:_CALIBRATION])
    np.savez(files.evaluation, image=images[held_out], labels=labels[held_out])
    return files


def _digits() -> tuple[Array, Array]:
    """Load images, float32 [1797, 1, 8, 8] in [0, 1], and their labels, in a fixed random order."""
    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    images = (bunch.images[order, None] / 16).astype(np.float32)
    return images, bunch.target[order].astype(np.int64)


def _network() -> nn.Module:
    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]

    return nn.Sequential(
        *block(1, 64),
        *block(64, 128),
        nn.MaxPool2d(2),
        *block(128, 128),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(128, 10),
    )


def _train(images: Array, labels: Array, tick: Tick) -> nn.Module:
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # batches are so small that threads wait for each other longer than they compute
    model = _network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    for epoch in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(_BATCH):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
        tick(f"epoch {epoch + 1}")
    torch.set_num_threads(threads)
    return model.eval()
