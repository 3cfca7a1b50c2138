"""Generator of a GAN, which upsamples noise to an image of 8x8; against `gan_discriminator`, on handwritten digits."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tests.families import Part, Sample, _data, _training

TITLE = "GAN: generator"
INPUTS = ("noise=float32[N,32]",)
METRICS = ()  # an image made of noise has no right answer
INT8_ERROR = 0.1


class Generator(nn.Module):
    """Noise [N, 32] to images [N, 1, 8, 8] in 0..1."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(32, 64 * 2 * 2), nn.LeakyReLU(0.2))
        self.upsample = nn.Sequential(
            nn.Unflatten(1, (64, 2, 2)),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.BatchNorm2d(32),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, noise: Tensor) -> Tensor:
        image: Tensor = self.upsample(self.project(noise))
        return image


class NoiseInside(nn.Module):
    """A generator that draws its own noise: it computes something else in every run."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = Generator()

    def forward(self, noise: Tensor) -> Tensor:
        image: Tensor = self.generator(noise + torch.randn_like(noise))
        return image


def make() -> nn.Module:
    torch.manual_seed(0)
    return _training.load(Generator(), "gan")


def make_with_noise_inside() -> nn.Module:
    return NoiseInside()


def train(module: nn.Module) -> None:
    from tests.families import gan_discriminator

    torch.manual_seed(1)
    play(module, gan_discriminator.Discriminator())


def play(generator: nn.Module, discriminator: nn.Module, steps: int = 300) -> None:
    """Train both against each other."""
    images = torch.from_numpy(_data.digits("train")[0])[:, None]
    makes, tells = (torch.optim.Adam(one.parameters(), 1e-3, (0.5, 0.999)) for one in (generator, discriminator))
    generator.train()
    discriminator.train()
    logistic = nn.functional.binary_cross_entropy_with_logits
    for _ in range(steps):
        made = generator(torch.randn(64, 32))
        seen = discriminator(torch.cat([images[torch.randint(len(images), (64,))], made.detach()]))
        tells.zero_grad()
        logistic(seen, torch.cat([torch.ones(64), torch.zeros(64)])).backward()
        tells.step()
        makes.zero_grad()
        logistic(discriminator(made), torch.ones(64)).backward()
        makes.step()
    generator.eval()
    discriminator.eval()


def samples(part: Part, n: int) -> list[Sample]:
    rng = np.random.default_rng(part == "test")
    return [{"noise": rng.standard_normal(32).astype(np.float32)} for _ in range(n)]
