"""Fit of one runtime: its efficiencies, and the error of forecasts by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwbench.forecasts.efficiency_fit import Efficiencies, fit
from hwbench.forecasts.held_out_error import HeldOutError, held_out_error
from hwbench.forecasts.observation import Observation


@dataclass(frozen=True)
class RuntimeFit:
    """The fit of one runtime, whose name its error has."""

    efficiencies: Efficiencies
    error: HeldOutError


def fit_runtimes(observations: Sequence[Observation]) -> tuple[RuntimeFit, ...]:
    """Fit each runtime that more than one model was measured with; others have no error to widen a range by."""
    found = []
    for runtime in sorted({one.runtime for one in observations}):
        known = [one for one in observations if one.runtime == runtime]
        error = held_out_error(known)
        if error is not None:
            found.append(RuntimeFit(fit(known), error))
    return tuple(found)
