"""Actor and critic on a shared trunk: a policy and a value; on a cart and pole."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tests.families import Part, Sample, _cart_pole, _training

TITLE = "Actor and critic"
INPUTS = ("state=float32[N,4]",)
METRICS = ("top1:policy", "mae:value")
INT8_ERROR = 0.15


class ActorCritic(nn.Module):
    """States [N, 4] to the logits of two actions, [N, 2], and the value of the state, [N]."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.actor, self.critic = nn.Linear(64, 2), nn.Linear(64, 1)

    def forward(self, state: Tensor) -> dict[str, Tensor]:
        hidden = self.trunk(state)
        return {"policy": self.actor(hidden), "value": 10 * self.critic(hidden).squeeze(1)}


class Sampling(nn.Module):
    """An actor that draws its action, as in training."""

    def __init__(self) -> None:
        super().__init__()
        self.both = ActorCritic()

    def forward(self, state: Tensor) -> Tensor:
        return torch.distributions.Categorical(logits=self.both(state)["policy"]).sample()


def make() -> nn.Module:
    torch.manual_seed(0)
    return _training.load(ActorCritic(), "actor_critic")


def make_that_samples() -> nn.Module:
    return Sampling()


def train(module: nn.Module) -> None:
    def loss(batch: dict[str, Tensor]) -> Tensor:
        found = module(batch["state"])
        imitated = nn.functional.cross_entropy(found["policy"], batch["labels_policy"])
        return imitated + 0.01 * nn.functional.mse_loss(found["value"], batch["labels_value"])

    _training.fit(module, samples("train", 4000), loss, 800, 1e-2)


def samples(part: Part, n: int) -> list[Sample]:
    """Label states with the controller's action and what it brings."""
    states = _cart_pole.states(part, n)
    actions, returns = _cart_pole.controlled(states), _cart_pole.returns(states)
    return [
        {"state": state, "labels_policy": np.int64(action), "labels_value": value}
        for state, action, value in zip(states, actions, returns[np.arange(n), actions])
    ]
