"""Language model of an embedding, an LSTM and a linear layer; on the characters of Python's own reference."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.families import Part, Sample, _data, _training

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
    _training.fit(module, samples("train", 1000), lambda batch: next_token_loss(module, batch), 200, 1e-2)


def next_token_loss(module: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    return nn.functional.cross_entropy(module(batch["tokens"]).flatten(0, 1), batch["labels"].flatten())


def samples(part: Part, n: int) -> list[Sample]:
    return [{"tokens": text[:-1], "labels": text[1:]} for text in _data.passages(part, n, (25, 33, 49))]
