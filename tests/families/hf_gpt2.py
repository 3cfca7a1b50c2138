"""Hugging Face's GPT-2 over a whole sequence, from a configuration; on the characters of Python's own reference."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from tests.families import Part, Sample, _data, _training
from tests.families._sequences import next_element_loss, passages

TITLE = "Hugging Face: GPT-2"
INPUTS = ("input_ids=int64[N,T]",)
METRICS = ("perplexity:logits",)
INT8_ERROR = 0.1


def make() -> nn.Module:
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=_data.CHARACTERS,
        n_positions=128,
        n_embd=64,
        n_layer=1,
        n_head=4,
        use_cache=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    return _training.load(GPT2LMHeadModel(config), "hf_gpt2")


def train(module: nn.Module) -> None:
    def loss(batch: dict[str, Tensor]) -> Tensor:
        return next_element_loss(module(batch["input_ids"]).logits, batch["labels"])

    _training.fit(module, samples("train", 1000), loss, 200, 1e-2)


def samples(part: Part, n: int) -> list[Sample]:
    return passages(part, n, name="input_ids")
