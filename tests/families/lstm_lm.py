"""Language model of an embedding, an LSTM and a linear layer; on the characters of Python's own reference."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.families import Part, Sample, _data, _training
from tests.families._sequences import next_element_loss, passages

TITLE = "LSTM language model"
INPUTS = ("tokens=int64[N,T]",)
METRICS = ("perplexity",)
INT8_ERROR = 0.05


class LanguageModel(nn.Module):
    """Characters [N, T] to the logits of the characters that follow, [N, T, 96]."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_data.CHARACTERS, 64)
        self.lstm = nn.LSTM(64, 128, batch_first=True)
        self.head = nn.Linear(128, _data.CHARACTERS)

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.lstm(self.embedding(tokens))
        logits: Tensor = self.head(states)
        return logits


def make() -> nn.Module:
    torch.manual_seed(0)
    return _training.load(LanguageModel(), "lstm_lm")


def train(module: nn.Module) -> None:
    def loss(batch: dict[str, Tensor]) -> Tensor:
        return next_element_loss(module(batch["tokens"]), batch["labels"])

    _training.fit(module, samples("train", 1000), loss, 200, 1e-2)


def samples(part: Part, n: int) -> list[Sample]:
    return passages(part, n)
