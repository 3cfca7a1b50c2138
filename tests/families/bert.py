"""Transformer encoder with a mask of the padding, as BERT; tells the topics of Python's own reference apart."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tests.families import Part, Sample, _data, _training

TITLE = "Encoder like BERT"
INPUTS = ("tokens=int64[N,T]", "mask=int64[N,T]")
METRICS = ("top1",)
INT8_ERROR = 0.1
_WIDTH, _HEADS, _LONGEST = 64, 4, 64


class Encoder(nn.Module):
    """Words and their mask [N, T] to the logits of a topic, [N, 4]."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(_data.WORDS, _WIDTH), nn.Embedding(_LONGEST, _WIDTH)
        self.norm = nn.LayerNorm(_WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(1))
        self.pooler, self.classifier = nn.Linear(_WIDTH, _WIDTH), nn.Linear(_WIDTH, len(_data.TOPICS))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.norm(self.words(tokens) + self.positions(positions))
        seen = mask[:, None, None, :].bool()
        for layer in self.layers:
            x = layer(x, seen)
        logits: Tensor = self.classifier(self.pooler(x[:, 0]).tanh())
        return logits


class Layer(nn.Module):
    """Self-attention and a feed-forward network, each with its residual sum and norm behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.mix = (nn.Linear(_WIDTH, _WIDTH) for _ in range(4))
        self.up, self.down = nn.Linear(_WIDTH, 4 * _WIDTH), nn.Linear(4 * _WIDTH, _WIDTH)
        self.mixed_norm, self.norm = nn.LayerNorm(_WIDTH), nn.LayerNorm(_WIDTH)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        heads = (
            part(x).unflatten(2, (_HEADS, _WIDTH // _HEADS)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        mixed = nn.functional.scaled_dot_product_attention(*heads, attn_mask=seen)
        x = self.mixed_norm(x + self.mix(mixed.transpose(1, 2).flatten(2)))
        normed: Tensor = self.norm(x + self.down(nn.functional.gelu(self.up(x))))
        return normed


def make() -> nn.Module:
    torch.manual_seed(0)
    return _training.load(Encoder(), "bert")


def train(module: nn.Module) -> None:
    def loss(batch: dict[str, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(module(batch["tokens"], batch["mask"]), batch["labels"])

    _training.fit(module, samples("train", 2000), loss, 250)


def samples(part: Part, n: int) -> list[Sample]:
    """Pad passages of 12 to 48 words with 0 to the next multiple of 16."""
    made = []
    for words, label in _data.topic_words(part, n, (12, 16, 30, 48)):
        padding = (0, -len(words) % 16)
        mask = np.pad(np.ones(len(words), np.int64), padding)
        made.append({"tokens": np.pad(words, padding), "mask": mask, "labels": np.int64(label)})
    return made
