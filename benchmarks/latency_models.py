"""Networks with random weights, for latency alone: ResNet-18, MobileNetV2, a transformer encoder, an LSTM.

Written out in torch after the papers (He et al., 2016; Sandler et al., 2018; Vaswani et al., 2017), since torchvision
is not among our dependencies.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.zoo import ZooModel
from benchmarks.zoo._export import export

NAMES = ("resnet18", "mobilenetv2", "encoder", "lstm")
_CALIBRATION, _EVALUATION = 32, 16


def prepare(name: str, folder: Path) -> ZooModel:
    """Write a model and random samples for it, unless they are there; it is judged by closeness to its float32 self."""
    file = folder / f"{name}.onnx"
    paths = (folder / f"{name}-calibration.npz", folder / f"{name}-evaluation.npz")
    if not file.exists():
        torch.manual_seed(0)
        module, shape = _MODELS[name]
        rng = np.random.default_rng(0)
        for path, n in zip(paths, (_CALIBRATION, _EVALUATION)):
            np.savez(path, x=rng.standard_normal((n, *shape)).astype(np.float32))
        export(module().eval(), {"x": torch.randn(2, *shape)}, ["y"], {"x": {0: "N"}}, file)
    return ZooModel(name, file, *paths, "parity", 1.0, "random weights")


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class _Basic(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_conv(inputs, outputs, 3, stride), nn.ReLU(), *_conv(outputs, outputs, 3))
        straight = stride == 1 and inputs == outputs
        self.short = nn.Identity() if straight else nn.Sequential(*_conv(inputs, outputs, 1, stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.short(x))


def _resnet18() -> nn.Module:
    layers: list[nn.Module] = [*_conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [_Basic(inputs, outputs, stride), _Basic(outputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


class _Inverted(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = inputs * expand
        layers = [*_conv(inputs, wide, 1), nn.ReLU6()] if expand > 1 else []
        self.body = nn.Sequential(*layers, *_conv(wide, wide, 3, stride, wide), nn.ReLU6(), *_conv(wide, outputs, 1))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.adds else self.body(x)


def _mobilenetv2() -> nn.Module:
    layers: list[nn.Module] = [*_conv(3, 32, 3, 2), nn.ReLU6()]
    inputs = 32
    for expand, outputs, count, stride in (
        *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
        *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
    ):
        for index in range(count):
            layers.append(_Inverted(inputs, outputs, stride if index == 0 else 1, expand))
            inputs = outputs
    head = [*_conv(320, 1280, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers, *head)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, tokens, width = x.shape
        parts = self.qkv(self.before(x)).reshape(n, tokens, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        weights = torch.softmax(q @ k.transpose(-1, -2) * (width // self.heads) ** -0.5, dim=-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(n, tokens, width))
        return x + self.mlp(self.after(x))


class _Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTM(128, 128, batch_first=True), nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.cell(x)[0][:, -1])


_MODELS = {
    "resnet18": (_resnet18, (3, 224, 224)),
    "mobilenetv2": (_mobilenetv2, (3, 224, 224)),
    "encoder": (lambda: nn.Sequential(*(_Block(384, 12) for _ in range(6))), (128, 384)),
    "lstm": (_Lstm, (32, 128)),
}
