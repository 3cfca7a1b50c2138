"""The detector of `yolo.py` with non-maximum suppression inside: as many rows as it finds digits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.families import Part, Sample, _training, yolo

TITLE = "YOLO, NMS inside"
INPUTS = ("image=float32[1,1,H,W]",)
METRICS = ("map",)
INT8_ERROR = 0.1
_LEAST, _OVERLAP = 0.05, 0.45


class Suppressed(nn.Module):
    """An image [1, 1, H, W] to the rows [1, found, 6] that no better box of the same class overlaps much.

    A row is x1, y1, x2, y2, score, class. The rule is Fast NMS: D. Bolya et al. (2019), YOLACT, arXiv:1904.02689.
    """

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        found = self.detector(image)
        scores, order = found["scores"][0].sort(descending=True)
        boxes, classes = found["boxes"][0][order], found["classes"][0][order]
        apart = boxes + classes[:, None] * 1000.0  # boxes of two classes never overlap
        overlap = _overlaps(apart).triu(diagonal=1).amax(0)
        rows = torch.cat([boxes, scores[:, None], classes[:, None].to(boxes.dtype)], dim=1)
        return {"detections": rows[(overlap < _OVERLAP) & (scores > _LEAST)][None]}


def _overlaps(boxes: Tensor) -> Tensor:
    """Compute the IoU of each box with each other one."""
    corner = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    other = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    common = (other - corner).clamp(min=0).prod(2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return common / (area[:, None] + area[None] - common)


def make() -> nn.Module:
    torch.manual_seed(0)
    return _training.load(Suppressed(yolo.Detector()), "yolo_nms")


def train(module: nn.Module) -> None:
    assert isinstance(module, Suppressed)
    yolo.train(module.detector)


def samples(part: Part, n: int) -> list[Sample]:
    return yolo.samples(part, n)
