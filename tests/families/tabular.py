"""Table of numbers and categories, with an embedding for each category; on scikit-learn's diabetes study."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from torch import Tensor, nn

from tests.families import Part, Sample, _data, _training

TITLE = "Tabular with embeddings"
INPUTS = ("numbers=float32[N,8]", "categories=int64[N,2]")
METRICS = ("mae",)
INT8_ERROR = 0.1


class Table(nn.Module):
    """Numbers [N, 8], and sex and decade of age [N, 2], to the progress of the illness, [N]."""

    def __init__(self) -> None:
        super().__init__()
        self.sex, self.decade = nn.Embedding(2, 4), nn.Embedding(10, 8)
        self.norm = nn.BatchNorm1d(8)
        self.layers = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        known = [self.norm(numbers), self.sex(categories[:, 0]), self.decade(categories[:, 1])]
        progress: Tensor = self.layers(torch.cat(known, dim=1)).squeeze(1)
        return 100 * progress


def make() -> nn.Module:
    torch.manual_seed(0)
    return _training.load(Table(), "tabular")


def train(module: nn.Module) -> None:
    def loss(batch: dict[str, Tensor]) -> Tensor:
        found = module(batch["numbers"], batch["categories"])
        return nn.functional.smooth_l1_loss(found / 100, batch["labels"] / 100)

    _training.fit(module, samples("train", 342), loss, 200)


def samples(part: Part, n: int) -> list[Sample]:
    numbers, progress = load_diabetes(return_X_y=True, scaled=False)
    rows = _data.rows_of(part, len(numbers), 100)[:n]
    numbers, progress = numbers[rows].astype(np.float32), progress[rows].astype(np.float32)
    categories = np.stack([numbers[:, 1] - 1, numbers[:, 0] // 10], axis=1).astype(np.int64)
    return [
        {"numbers": number, "categories": category, "labels": label}
        for number, category, label in zip(numbers[:, 2:], categories, progress)
    ]
