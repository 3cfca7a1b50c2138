"""Keras 3's embedding, LSTM and dense layer, with PyTorch as its backend; on characters of Python's own reference."""

from __future__ import annotations

import os

from torch import Tensor, nn

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras
from keras import layers

from tests.families import Part, Sample, _data, _training
from tests.families._sequences import next_element_loss, passages

TITLE = "Keras: LSTM language model"
INPUTS = ("tokens=int64[N,T]",)
METRICS = ("perplexity",)
INT8_ERROR = 0.1


def make() -> nn.Module:
    keras.utils.set_random_seed(0)
    module = keras.Sequential(
        [
            keras.Input((None,), dtype="int64", name="tokens"),
            layers.Embedding(_data.CHARACTERS, 32),
            layers.LSTM(64, return_sequences=True),
            layers.Dense(_data.CHARACTERS),
        ]
    )
    return _training.load(module, "keras_lstm")


def train(module: nn.Module) -> None:
    def loss(batch: dict[str, Tensor]) -> Tensor:
        return next_element_loss(module(batch["tokens"]), batch["labels"])

    _training.fit(module, samples("train", 1000), loss, 100, 1e-2)


def samples(part: Part, n: int) -> list[Sample]:
    return passages(part, n, (13, 25, 33))
