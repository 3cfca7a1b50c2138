"""Q-network: the value of each action in a state; on a cart and pole."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.families import Part, Sample, _cart_pole, _training

TITLE = "Q-network"
INPUTS = ("state=float32[N,4]",)
METRICS = ("r2",)
INT8_ERROR = 0.1


def make() -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 2))
    return _training.load(module, "q_network")


def train(module: nn.Module) -> None:
    def loss(batch: dict[str, Tensor]) -> Tensor:
        return nn.functional.mse_loss(module(batch["state"]), batch["labels"])

    _training.fit(module, samples("train", 4000), loss, 1000, 1e-2)


def samples(part: Part, n: int) -> list[Sample]:
    states = _cart_pole.states(part, n)
    return [{"state": state, "labels": values} for state, values in zip(states, _cart_pole.returns(states))]
