"""One-stage detector, as YOLO, without suppression: a box per cell of 8x8 pixels; finds digits on a photograph."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from runtimes.tensors import Array
from tests.families import Part, Sample, _data, _training

TITLE = "YOLO, without NMS"
INPUTS = ("image=float32[N,1,H,W]",)
METRICS = ("map",)
INT8_ERROR = 0.1
_CELL, _MOST = 8, 3
_SIZES = ((48, 48), (48, 64), (64, 48))


class Detector(nn.Module):
    """Images [N, 1, H, W] to boxes [N, cells, 4] in pixels, scores and classes [N, cells]."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            _convolution(1, 16), _convolution(16, 32), _convolution(32, 64), _convolution(64, 64, stride=1)
        )
        self.head = nn.Conv2d(64, 5 + 10, 1)
        nn.init.normal_(self.head.weight, std=4)  # so that scores differ before there is any training

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        raw = self.raw(image)
        rows, columns = raw.shape[1], raw.shape[2]
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        corner = torch.stack([x, y], dim=-1).to(raw.dtype)
        middle = (corner + raw[..., 0:2].sigmoid()) * _CELL
        size = raw[..., 2:4].exp() * _CELL
        boxes = torch.cat([middle - size / 2, middle + size / 2], dim=-1).flatten(1, 2)
        best, classes = raw[..., 5:].softmax(-1).max(-1)
        scores = raw[..., 4].sigmoid() * best
        return {"boxes": boxes, "scores": scores.flatten(1), "classes": classes.flatten(1)}

    def raw(self, image: Tensor) -> Tensor:
        """Compute place, size, presence and classes of a box per cell, [N, rows, columns, 15]."""
        cells: Tensor = self.head(self.backbone(image)).permute(0, 2, 3, 1)
        return cells


def _convolution(before: int, channels: int, stride: int = 2) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(before, channels, 3, stride, padding=1, bias=False), nn.BatchNorm2d(channels), nn.SiLU()
    )


def make() -> nn.Module:
    torch.manual_seed(0)
    return _training.load(Detector(), "yolo")


def train(module: nn.Module) -> None:
    assert isinstance(module, Detector)
    nn.init.normal_(module.head.weight, std=0.01)
    _training.fit(module, samples("train", 1200), lambda batch: detection_loss(module, batch), 400, 1e-2)


def detection_loss(module: Detector, batch: dict[str, Tensor]) -> Tensor:
    """Compare the cells of a batch with the boxes whose middles they hold."""
    raw, labels = module.raw(batch["image"]), batch["labels"]
    image, box = (labels[..., 4] >= 0).nonzero(as_tuple=True)
    real = labels[image, box]
    middle, size = (real[:, 0:2] + real[:, 2:4]) / 2 / _CELL, (real[:, 2:4] - real[:, 0:2]) / _CELL
    column, row = middle.long().unbind(1)
    presence = torch.zeros_like(raw[..., 4])
    presence[image, row, column] = 1
    found = raw[image, row, column]
    place = nn.functional.mse_loss(found[:, 0:2].sigmoid(), middle - middle.floor())
    extent = nn.functional.mse_loss(found[:, 2:4], size.log())
    which = nn.functional.cross_entropy(found[:, 5:], real[:, 4].long())
    present = nn.functional.binary_cross_entropy_with_logits(raw[..., 4], presence, pos_weight=torch.tensor(4.0))
    return 4 * place + 4 * extent + which + 4 * present


def samples(part: Part, n: int) -> list[Sample]:
    """Paste up to three digits on pieces of a photograph, one into each quarter."""
    digits, classes = _data.digits(part)
    rng = np.random.default_rng(part == "test")
    made = []
    for index in range(n):
        height, width = _SIZES[index % len(_SIZES)]
        image = _data.photograph_piece(part, height, width, rng) * 0.4
        labels = np.full((_MOST, 5), -1, np.float32)
        for box, quarter in enumerate(rng.permutation(4)[: rng.integers(1, _MOST + 1)]):
            one, side = rng.integers(len(digits)), int(rng.integers(14, 23))
            top = quarter // 2 * height // 2 + rng.integers(0, height // 2 - side + 1)
            left = quarter % 2 * width // 2 + rng.integers(0, width // 2 - side + 1)
            _paste(image, _data.enlarged(digits[one], side, side), top, left)
            labels[box] = left, top, left + side, top + side, classes[one]
        made.append({"image": image[None], "labels": labels})
    return made


def _paste(image: Array, digit: Array, top: int, left: int) -> None:
    place = image[top : top + len(digit), left : left + len(digit)]
    np.maximum(place, digit, out=place)
