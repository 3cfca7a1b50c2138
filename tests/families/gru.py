"""GRU that forecasts four channels of an electroencephalogram, and returns its last state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.families import Part, Sample, _data, _training

TITLE = "GRU"
INPUTS = ("signal=float32[N,T,4]",)
METRICS = ("mse:forecast",)
INT8_ERROR = 0.1


class Forecaster(nn.Module):
    """Signals [N, T, 4] to the values that follow each, [N, T, 4], and the state after the last, [1, N, 64]."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(4, 64, batch_first=True)
        self.head = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))

    def forward(self, signal: Tensor) -> dict[str, Tensor]:
        states, last = self.gru(signal)
        return {"forecast": signal + self.head(states), "state": last}


def make() -> nn.Module:
    torch.manual_seed(0)
    return _training.load(Forecaster(), "gru")


def train(module: nn.Module) -> None:
    def loss(batch: dict[str, Tensor]) -> Tensor:
        return nn.functional.mse_loss(module(batch["signal"])["forecast"], batch["labels"])

    _training.fit(module, samples("train", 600), loss, 200)


def samples(part: Part, n: int) -> list[Sample]:
    pieces = _data.signals(part, n, (25, 33, 49))
    return [{"signal": piece[:-1], "labels": piece[1:]} for piece in pieces]
