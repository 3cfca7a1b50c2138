"""Bidirectional LSTM with a mask of the padding; tells the topics of Python's own reference apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.families import Part, Sample, _data, _training, bert

TITLE = "Bidirectional LSTM with masks"
INPUTS = ("tokens=int64[N,T]", "mask=int64[N,T]")
METRICS = ("top1",)
INT8_ERROR = 0.1


class Classifier(nn.Module):
    """Words and their mask [N, T] to the logits of a topic, [N, 4], by the mean of the states that count."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_data.WORDS, 64)
        self.lstm = nn.LSTM(64, 48, batch_first=True, bidirectional=True)
        self.head = nn.Linear(96, len(_data.TOPICS))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        counts = mask[:, :, None].to(torch.float32)
        states, _ = self.lstm(self.embedding(tokens) * counts)
        logits: Tensor = self.head((states * counts).sum(dim=1) / counts.sum(dim=1).clamp(min=1))
        return logits


class Packed(Classifier):
    """The same with a packed sequence, which PyTorch cannot export."""

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(tokens), mask.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False
        )
        _, (last, _) = self.lstm(packed)
        logits: Tensor = self.head(torch.cat([last[0], last[1]], dim=1))
        return logits


def make() -> nn.Module:
    torch.manual_seed(0)
    return _training.load(Classifier(), "bilstm")


def make_with_packed_sequences() -> nn.Module:
    torch.manual_seed(0)
    return Packed()


def train(module: nn.Module) -> None:
    bert.train(module)


def samples(part: Part, n: int) -> list[Sample]:
    return bert.samples(part, n)
