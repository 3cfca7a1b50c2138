"""Keras 3's generator of a GAN, with PyTorch as its backend; against `gan_discriminator`, on handwritten digits."""

from __future__ import annotations

import os

import torch
from torch import nn

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras
from keras import layers

from tests.families import Part, Sample, _training, gan, gan_discriminator

TITLE = "Keras: generator of a GAN"
INPUTS = ("noise=float32[N,32]",)
METRICS = ()  # an image made of noise has no right answer
INT8_ERROR = 0.1


class ChannelsFirst(nn.Module):
    """Keras' images [N, 8, 8, 1] as PyTorch's discriminator takes them."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, noise: torch.Tensor) -> torch.Tensor:
        image: torch.Tensor = self.generator(noise).permute(0, 3, 1, 2)
        return image


def make() -> nn.Module:
    keras.utils.set_random_seed(0)
    module = keras.Sequential(
        [
            keras.Input((32,), name="noise"),
            layers.Dense(2 * 2 * 64),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Reshape((2, 2, 64)),
            layers.Conv2DTranspose(32, 4, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="sigmoid"),
        ]
    )
    return _training.load(module, "keras_gan")


def train(module: nn.Module) -> None:
    torch.manual_seed(1)
    gan.play(ChannelsFirst(module), gan_discriminator.Discriminator())


def samples(part: Part, n: int) -> list[Sample]:
    return gan.samples(part, n)
