"""Keyword spotting with the spectrogram inside: sound in, classes out.

No recording of words is on every machine, so the words are synthetic: a tone that glides over three pitches, in noise.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tests.families import Part, Sample, _training

TITLE = "Keyword spotting, STFT inside"
INPUTS = ("sound=float32[N,T]",)
METRICS = ("top1",)
INT8_ERROR = 0.1
_RATE, _WINDOW, _STEP = 4000, 128, 64
_WORDS = ((300, 600, 900), (900, 600, 300), (300, 900, 300), (900, 300, 900))


class Spotter(nn.Module):
    """Sound [N, T] to the logits of a word, [N, 4], by convolutions over its logarithmic spectrogram."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(_WINDOW))
        self.layers = nn.Sequential(
            nn.BatchNorm1d(_WINDOW // 2 + 1),
            nn.Conv1d(_WINDOW // 2 + 1, 64, 5, padding=2),
            nn.ReLU(),
            nn.Conv1d(64, 64, 5, padding=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Linear(64, len(_WORDS)),
        )

    def forward(self, sound: Tensor) -> Tensor:
        spectrum = torch.stft(sound, _WINDOW, _STEP, window=self.window, center=False, return_complex=True)
        power = torch.view_as_real(spectrum).square().sum(dim=-1)
        logits: Tensor = self.layers((power + 1e-3).log())
        return logits


def make() -> nn.Module:
    torch.manual_seed(0)
    return _training.load(Spotter(), "keyword_spotting")


def train(module: nn.Module) -> None:
    def loss(batch: dict[str, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(module(batch["sound"]), batch["labels"])

    _training.fit(module, samples("train", 600), loss, 150, 1e-2)


def samples(part: Part, n: int) -> list[Sample]:
    rng = np.random.default_rng(part == "test")
    made = []
    for index in range(n):
        length, label = (1024, 1280, 2048)[index % 3], int(rng.integers(len(_WORDS)))
        glide = np.interp(np.linspace(0, 2, length), range(3), _WORDS[label])
        tone = np.sin(2 * np.pi * np.cumsum(glide * rng.uniform(0.9, 1.1)) / _RATE)
        sound = tone + rng.normal(0, 1, length)
        made.append({"sound": sound.astype(np.float32), "labels": np.int64(label)})
    return made
