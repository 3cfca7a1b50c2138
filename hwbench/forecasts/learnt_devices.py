"""Devices that forecasts learn from: those that ship, measured by benchmarks/forecast.py, and those of the user."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import platformdirs

from hwbench.forecasts.observation import Observation
from hwbench.progress import say
from runtimes.cache import Cache
from runtimes.codec import decode

SHIPPED = "measured.json"
"""Name of the file of observations that ships."""


@dataclass(frozen=True)
class Learnt:
    """Observations from one origin.

    Attributes:
        about: sentences on how, where and when they were measured.
    """

    about: tuple[str, ...] = ()
    observations: tuple[Observation, ...] = field(default_factory=tuple)


def all_observations() -> tuple[Observation, ...]:
    """Collect all observations; the user's replace those that ship of the same device."""
    shipped, own = shipped_observations().observations, learnt_observations()
    return merged(shipped, own)


def shipped_observations() -> Learnt:
    """Read the observations that ship."""
    text = importlib.resources.files("hwbench.forecasts").joinpath(SHIPPED).read_text("utf-8")
    return decode(Learnt, json.loads(text), SHIPPED)


def learnt_observations() -> tuple[Observation, ...]:
    """Recall the user's observations."""
    found = _store().get_value(Learnt, _KEY)
    return found.observations if found is not None else ()


def learn(observations: Sequence[Observation]) -> int:
    """Remember observations in the user's folder of state; those of the same artifact and device are replaced.

    Returns:
        The number that is remembered now; where the user has no home, they are lost.
    """
    _store().put_value(_KEY, Learnt(observations=merged(learnt_observations(), observations)))
    return len(learnt_observations())


def forget() -> None:
    """Forget the user's observations."""
    _store().put_value(_KEY, Learnt())


def merged(older: Sequence[Observation], newer: Sequence[Observation]) -> tuple[Observation, ...]:
    """Add observations to others, in place of those of the same artifact and device."""
    return tuple({one.identity: one for one in (*older, *newer)}.values())


_KEY = "observations"


def _store() -> Cache:
    folder = platformdirs.user_state_path("edgewright") / "forecasts"
    return Cache(folder if folder.is_absolute() else None, warn=say)  # "~" stays where the user has no home
