"""The candidate that more samples might have selected: better than the selected one, and probably within budget."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hwbench.budgets.verdicts import Verdict
from hwbench.results.unsettled import Unsettled
from toolchain.search.choose import Decision, JudgedTrial

_BETTER = 1.03  # times as fast, or as small: a smaller gain is worth no more samples
_PROBABLY = 0.5  # a budget that is met with a smaller probability is not probably met


def find_unsettled(judged: Sequence[JudgedTrial], decisions: Mapping[str, Decision], asked: float) -> Unsettled | None:
    """Find the best candidate that only the uncertainty of its accuracy kept from being selected; None without one.

    Args:
        judged: the trials that `choose` decided on.
        decisions: its decisions.
        asked: the confidence that a verdict on accuracy took.
    """
    selected = next((one for one in judged if decisions[one.name].is_selected), None)
    if selected is None or selected.outcome != "pass":
        return None
    gains = {one.name: _gain(one, selected) for one in judged}
    able = [one for one in judged if gains[one.name] >= _BETTER and _is_probable(one)]
    best = max(able, key=lambda one: gains[one.name], default=None)
    if best is None:
        return None
    doubtful = min(_open(best), key=_probability)
    return Unsettled(
        best.name,
        f"{gains[best.name]:.2g}x {'faster' if selected.speed is not None else 'smaller'}",
        doubtful.budget.text,
        _probability(doubtful),
        asked,
        doubtful.needed,
        math.floor(100 * _probability(doubtful)) / 100,
    )


def _gain(one: JudgedTrial, selected: JudgedTrial) -> float:
    """Return how many times as fast a trial is as the selected one; where nothing was timed, as small."""
    if selected.speed is None:
        return selected.size_bytes / one.size_bytes if one.runtime == selected.runtime else 0.0
    return selected.speed.value / one.speed.value if one.speed is not None else 0.0


def _is_probable(one: JudgedTrial) -> bool:
    """Tell whether a trial breaks no budget, and all that it does not pass are probably met, though not surely."""
    doubtful = _open(one)
    return one.outcome == "inconclusive" and all(_probability(verdict) >= _PROBABLY for verdict in doubtful)


def _open(one: JudgedTrial) -> list[Verdict]:
    return [verdict for verdict in one.verdicts if verdict.outcome == "inconclusive"]


def _probability(verdict: Verdict) -> float:
    return verdict.probability if verdict.probability is not None else 0.0
