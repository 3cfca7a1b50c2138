"""Transformer decoder over a whole sequence, as GPT; on the characters of Python's own reference."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.families import Part, Sample, _data, _training
from tests.families._sequences import next_element_loss, passages

TITLE = "Decoder like GPT, whole sequence"
INPUTS = ("tokens=int64[N,T]",)
METRICS = ("perplexity",)
INT8_ERROR = 0.1
_WIDTH, _HEADS, _LONGEST = 64, 4, 128


class Decoder(nn.Module):
    """Characters [N, T] to the logits of the characters that follow, [N, T, 96]; the table is shared with the head."""

    def __init__(self) -> None:
        super().__init__()
        self.characters, self.positions = nn.Embedding(_data.CHARACTERS, _WIDTH), nn.Embedding(_LONGEST, _WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(1))
        self.norm, self.head = nn.LayerNorm(_WIDTH), nn.Linear(_WIDTH, _data.CHARACTERS, bias=False)
        self.head.weight = self.characters.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.characters(tokens) + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits


class Block(nn.Module):
    """Causal self-attention and a feed-forward network, each with its norm before it."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(_WIDTH, 3 * _WIDTH), nn.Linear(_WIDTH, _WIDTH)
        self.up, self.down = nn.Linear(_WIDTH, 4 * _WIDTH), nn.Linear(4 * _WIDTH, _WIDTH)
        self.attention_norm, self.norm = nn.LayerNorm(_WIDTH), nn.LayerNorm(_WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.mixed(x, nn.functional.scaled_dot_product_attention(*self.heads(x), is_causal=True))

    def heads(self, x: Tensor) -> list[Tensor]:
        """Compute queries, keys and values, [N, heads, T, 16] each."""
        parts = self.into(self.attention_norm(x)).chunk(3, 2)
        return [part.unflatten(2, (_HEADS, _WIDTH // _HEADS)).transpose(1, 2) for part in parts]

    def mixed(self, x: Tensor, attended: Tensor) -> Tensor:
        """Add what the heads attended to, and what the feed-forward network makes of it."""
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.down(nn.functional.gelu(self.up(self.norm(x))))


def make() -> nn.Module:
    torch.manual_seed(0)
    decoder = Decoder()
    nn.init.normal_(decoder.characters.weight, std=0.1)
    return _training.load(decoder, "gpt")


def train(module: nn.Module) -> None:
    def loss(batch: dict[str, Tensor]) -> Tensor:
        return next_element_loss(module(batch["tokens"]), batch["labels"])

    _training.fit(module, samples("train", 1000), loss, 200, 1e-2)


def samples(part: Part, n: int) -> list[Sample]:
    return passages(part, n)
