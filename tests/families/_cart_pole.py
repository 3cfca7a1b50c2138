"""The cart and pole of A. Barto et al. (1983), as Gymnasium's CartPole-v1 computes it, for many carts at once."""

from __future__ import annotations

import numpy as np

from runtimes.tensors import Array
from tests.families import Part

_GRAVITY, _CART, _POLE, _HALF, _FORCE, _SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
_DISCOUNT, _STEPS = 0.97, 60


def states(part: Part, n: int) -> Array:
    """Draw states float32 [n, 4]: the cart's place and speed, the pole's angle and speed."""
    rng = np.random.default_rng(part == "test")
    return rng.uniform([-1.5, -1.5, -0.18, -1.5], [1.5, 1.5, 0.18, 1.5], (n, 4)).astype(np.float32)


def returns(state: Array) -> Array:
    """Play each action, 0 (left) and 1 (right), and the controller's from then on.

    Returns:
        The discounted number of steps until the pole falls, [n, 2].
    """
    return np.stack([_play(state, np.full(len(state), action)) for action in (0, 1)], axis=1).astype(np.float32)


def controlled(state: Array) -> Array:
    """Choose the actions of a controller by hand, which keeps the pole up."""
    return (state @ np.array([0.1, 0.2, 1.0, 0.5]) > 0).astype(np.int64)


def _play(state: Array, action: Array) -> Array:
    total, alive = np.zeros(len(state)), np.ones(len(state), bool)
    for step in range(_STEPS):
        state = _stepped(state, action)
        alive &= (np.abs(state[:, 0]) < 2.4) & (np.abs(state[:, 2]) < np.deg2rad(12))
        total += alive * _DISCOUNT**step
        action = controlled(state)
    return total


def _stepped(state: Array, action: Array) -> Array:
    _, speed, angle, turn = state.astype(np.float64).T
    push = np.where(action == 1, _FORCE, -_FORCE)
    inner = (push + _POLE * _HALF * turn**2 * np.sin(angle)) / (_CART + _POLE)
    bend = (_GRAVITY * np.sin(angle) - np.cos(angle) * inner) / (
        _HALF * (4 / 3 - _POLE * np.cos(angle) ** 2 / (_CART + _POLE))
    )
    push = inner - _POLE * _HALF * bend * np.cos(angle) / (_CART + _POLE)
    rates = np.stack([speed, push, turn, bend], axis=1)
    return state + _SECONDS * rates
