"""Keras 3's first CNN, for images of 28x28x1, with PyTorch as its backend; on scikit-learn's handwritten digits."""

from __future__ import annotations

import os

from torch import nn

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras
from keras import layers

from tests.families import Part, Sample, _training, cnn
from tests.families._classifiers import class_loss

TITLE = "Keras: CNN for 28x28"
INPUTS = ("image=float32[N,28,28,1]",)
METRICS = ("top1",)
INT8_ERROR = 0.1


def make() -> nn.Module:
    keras.utils.set_random_seed(0)
    module = keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10),
        ]
    )
    return _training.load(module, "keras_cnn")


def train(module: nn.Module) -> None:
    _training.fit(module, samples("train", 1000), lambda batch: class_loss(module, batch), 100)


def samples(part: Part, n: int) -> list[Sample]:
    return [
        {"image": sample["image"].transpose(1, 2, 0).copy(), "labels": sample["labels"]}
        for sample in cnn.samples(part, n)
    ]
