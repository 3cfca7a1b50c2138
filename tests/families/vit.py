"""Vision transformer: patches of 4x4 and a class token; on scikit-learn's handwritten digits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.families import Part, Sample, _training
from tests.families._classifiers import class_loss, images

TITLE = "Vision transformer"
INPUTS = ("image=float32[N,1,32,32]",)
METRICS = ("top1",)
INT8_ERROR = 0.1
_WIDTH = 64


class VisionTransformer(nn.Module):
    """Images [N, 1, 32, 32] to the logits of ten classes, by PyTorch's own encoder layers."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, _WIDTH, 4, stride=4)
        self.token = nn.Parameter(torch.zeros(1, 1, _WIDTH))
        self.positions = nn.Parameter(torch.randn(1, 65, _WIDTH) * 0.02)
        layer = nn.TransformerEncoderLayer(
            _WIDTH, 4, 2 * _WIDTH, 0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(_WIDTH), nn.Linear(_WIDTH, 10)

    def forward(self, image: Tensor) -> Tensor:
        patches = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(self.batch(image), -1, -1), patches], dim=1) + self.positions
        logits: Tensor = self.head(self.norm(self.encoder(x)[:, 0]))
        return logits

    @staticmethod
    def batch(image: Tensor) -> int:
        return image.shape[0]


class FixedBatch(VisionTransformer):
    """The same with `len`, whose result is a number of Python's and no dimension."""

    @staticmethod
    def batch(image: Tensor) -> int:
        return len(image)


def make() -> nn.Module:
    torch.manual_seed(0)
    return _training.load(VisionTransformer(), "vit")


def make_with_len() -> nn.Module:
    torch.manual_seed(0)
    return FixedBatch().eval()


def train(module: nn.Module) -> None:
    _training.fit(module, samples("train", 1000), lambda batch: class_loss(module, batch), 200)


def samples(part: Part, n: int) -> list[Sample]:
    return images(part, n, ((32, 32),))
