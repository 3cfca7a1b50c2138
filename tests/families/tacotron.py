"""Text to a spectrogram by attention, as Tacotron: a decoder that feeds on its own frames, a fixed number of them.

No recording of speech is on every machine, so the spectrograms are synthetic: each letter sounds as two tones of its
own for one frame.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tests.families import Part, Sample, _data, _training

TITLE = "Tacotron"
INPUTS = ("tokens=int64[N,T]",)
METRICS = ("mse",)
INT8_ERROR = 0.15
_BANDS, _FRAMES, _WIDTH = 16, 4, 64


class Tacotron(nn.Module):
    """Characters [N, T] to a spectrogram [N, frames, 16]."""

    def __init__(self, frames: int | None = _FRAMES) -> None:
        super().__init__()
        self.frames = frames
        self.embedding = nn.Embedding(_data.CHARACTERS, _WIDTH)
        self.encoder = nn.Sequential(nn.Conv1d(_WIDTH, _WIDTH, 3, padding=1), nn.ReLU())
        self.prenet = nn.Sequential(nn.Linear(_BANDS, _WIDTH), nn.ReLU())
        self.cell = nn.GRUCell(2 * _WIDTH, _WIDTH)
        self.query, self.place = nn.Linear(_WIDTH, _WIDTH), nn.Embedding(64, _WIDTH)
        self.head = nn.Linear(2 * _WIDTH, _BANDS)

    def forward(self, tokens: Tensor) -> Tensor:
        memory = self.encoder(self.embedding(tokens).transpose(1, 2)).transpose(1, 2)
        keys = memory + self.place(torch.arange(tokens.shape[1], device=tokens.device))
        state = memory.new_zeros(memory.shape[0], _WIDTH)
        context, frame = state, memory.new_zeros(memory.shape[0], _BANDS)
        frames = []
        for _ in range(self.frames or tokens.shape[1]):
            state = self.cell(torch.cat([self.prenet(frame), context], dim=1), state)
            weights = (keys @ self.query(state)[:, :, None]).softmax(dim=1)
            context = (weights * memory).sum(dim=1)
            frame = self.head(torch.cat([state, context], dim=1))
            frames.append(frame)
        return torch.stack(frames, dim=1)


def make() -> nn.Module:
    torch.manual_seed(0)
    return _training.load(Tacotron(), "tacotron")


def make_as_long_as_the_text() -> nn.Module:
    """Make one that has as many frames as characters, by a loop in Python."""
    torch.manual_seed(0)
    return Tacotron(frames=None)


def train(module: nn.Module) -> None:
    def loss(batch: dict[str, Tensor]) -> Tensor:
        return nn.functional.mse_loss(module(batch["tokens"]), batch["labels"])

    _training.fit(module, samples("train", 1000), loss, 300, 1e-2)


def samples(part: Part, n: int) -> list[Sample]:
    tones = np.random.default_rng(0).integers(0, _BANDS, (_data.CHARACTERS, 2))
    sounds = np.eye(_BANDS, dtype=np.float32)[tones].sum(axis=1)
    return [{"tokens": text, "labels": sounds[text[:_FRAMES]]} for text in _data.passages(part, n, (8, 12, 20))]
