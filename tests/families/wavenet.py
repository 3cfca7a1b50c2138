"""Dilated causal convolutions with gates, as WaveNet: the next value of a signal; on an electroencephalogram."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tests.families import Part, Sample, _data, _training
from tests.families._sequences import next_element_loss

TITLE = "WaveNet"
INPUTS = ("signal=float32[N,1,T]",)
METRICS = ("perplexity",)
INT8_ERROR = 0.15
_WIDTH, _LEVELS = 32, 32


class Gated(nn.Module):
    """A dilated convolution that sees the past alone, its gate, and the outputs to the next layer and to the head."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.past = dilation
        self.both = nn.Conv1d(_WIDTH, 2 * _WIDTH, 2, dilation=dilation)
        self.residual, self.skip = nn.Conv1d(_WIDTH, _WIDTH, 1), nn.Conv1d(_WIDTH, _WIDTH, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        signal, gate = self.both(nn.functional.pad(x, (self.past, 0))).chunk(2, dim=1)
        gated = signal.tanh() * gate.sigmoid()
        return x + self.residual(gated), self.skip(gated)


class WaveNet(nn.Module):
    """A signal [N, 1, T] to the logits of the level that follows each value, [N, T, 32]."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Conv1d(1, _WIDTH, 1)
        self.layers = nn.ModuleList(Gated(2**power) for power in range(4))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv1d(_WIDTH, 64, 1), nn.ReLU(), nn.Conv1d(64, _LEVELS, 1))

    def forward(self, signal: Tensor) -> Tensor:
        x = self.into(signal)
        total = torch.zeros_like(x)
        for layer in self.layers:
            x, skip = layer(x)
            total = total + skip
        logits: Tensor = self.head(total).transpose(1, 2)
        return logits


def make() -> nn.Module:
    torch.manual_seed(0)
    return _training.load(WaveNet(), "wavenet")


def train(module: nn.Module) -> None:
    def loss(batch: dict[str, Tensor]) -> Tensor:
        return next_element_loss(module(batch["signal"]), batch["labels"])

    _training.fit(module, samples("train", 1000), loss, 200)


def samples(part: Part, n: int) -> list[Sample]:
    made = []
    for index, piece in enumerate(_data.signals(part, n, (49, 65, 97))):
        channel = piece[:, index % 4]
        levels = np.clip((channel + 3) / 6 * _LEVELS, 0, _LEVELS - 1).astype(np.int64)
        made.append({"signal": channel[None, :-1].copy(), "labels": levels[1:]})
    return made
