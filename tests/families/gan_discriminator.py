"""Discriminator of a GAN, which tells handwritten digits from those of `gan`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tests.families import Part, Sample, _data, _training, gan

TITLE = "GAN: discriminator"
INPUTS = ("image=float32[N,1,8,8]",)
METRICS = ("auc",)
INT8_ERROR = 0.1


class Discriminator(nn.Module):
    """Images [N, 1, 8, 8] to the logits of being real, [N]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(64 * 2 * 2, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        real: Tensor = self.layers(image).squeeze(1)
        return real


def make() -> nn.Module:
    torch.manual_seed(0)
    return _training.load(Discriminator(), "gan_discriminator")


def train(module: nn.Module) -> None:
    torch.manual_seed(1)
    gan.play(gan.Generator(), module)


def samples(part: Part, n: int) -> list[Sample]:
    """Take real digits, and as many that `gan` made."""
    noise = np.stack([sample["noise"] for sample in gan.samples(part, n // 2)])
    with torch.no_grad():
        made = gan.make()(torch.from_numpy(noise)).numpy()
    real = _data.digits(part)[0][: n - n // 2, None]
    return [
        {"image": image, "labels": np.int64(is_real)}
        for images, is_real in ((real, True), (made, False))
        for image in images
    ]
