"""Devices that forecasts learn from: those that ship, measured by benchmarks/forecast.py, and those of the user."""

from __future__ import annotations

import hashlib
import importlib.resources
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import platformdirs

from hwbench.forecasts.observation import Observation
from hwbench.forecasts.runtime_fit import RuntimeFit, fit_runtimes
from hwbench.progress import say
from runtimes.cache import Cache
from runtimes.codec import decode

SHIPPED = "measured.json"
"""Name of the file of observations that ships."""
_KEY = "observations"


@dataclass(frozen=True)
class Learnt:
    """Observations, and what was fitted on them.

    Attributes:
        about: sentences on how, where and when they were measured.
        fits: what was learnt of each runtime; fitting takes seconds, since each model is left out in turn.
    """

    about: tuple[str, ...] = ()
    observations: tuple[Observation, ...] = ()
    fits: tuple[RuntimeFit, ...] = ()


def known_fits() -> Mapping[str, RuntimeFit]:
    """Find what is known of each runtime, by its name: from the observations that ship and the user's."""
    own = learnt_observations()
    fits = _fits(own) if own else shipped().fits
    return {one.error.runtime: one for one in fits}


def shipped() -> Learnt:
    """Read what ships."""
    return decode(Learnt, json.loads(_text()), SHIPPED)


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


def _fits(own: tuple[Observation, ...]) -> tuple[RuntimeFit, ...]:
    """Fit the user's observations with those that ship, once for the same observations."""
    key = ["fits", hashlib.sha256(_text().encode()).hexdigest(), own]
    found = _store().get_value(Learnt, key)
    if found is None:
        found = Learnt(fits=fit_runtimes(merged(shipped().observations, own)))
        _store().put_value(key, found)
    return found.fits


def _text() -> str:
    return importlib.resources.files("hwbench.forecasts").joinpath(SHIPPED).read_text("utf-8")


def _store() -> Cache:
    folder = platformdirs.user_state_path("edgewright") / "forecasts"
    return Cache(folder if folder.is_absolute() else None, warn=say)  # "~" stays where the user has no home
