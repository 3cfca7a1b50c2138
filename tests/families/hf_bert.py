"""Hugging Face's BERT for classification, from a configuration; tells the topics of Python's own reference apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification

from tests.families import Part, Sample, _data, _training, bert

TITLE = "Hugging Face: BERT"
INPUTS = ("input_ids=int64[N,T]", "attention_mask=int64[N,T]")
METRICS = ("top1:logits",)
INT8_ERROR = 0.1


def make() -> nn.Module:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=_data.WORDS,
        hidden_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=64,
        num_labels=len(_data.TOPICS),
    )
    return _training.load(BertForSequenceClassification(config), "hf_bert")


def train(module: nn.Module) -> None:
    def loss(batch: dict[str, Tensor]) -> Tensor:
        found: Tensor = module(**batch).loss
        return found

    _training.fit(module, samples("train", 1000), loss, 200)


def samples(part: Part, n: int) -> list[Sample]:
    return [
        {"input_ids": sample["tokens"], "attention_mask": sample["mask"], "labels": sample["labels"]}
        for sample in bert.samples(part, n)
    ]
