"""Budgets as people write them: `p99<=10ms`, `accuracy_drop<=0.01`, `p90<=+5%`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from runtimes.errors import UsageError

_TIME = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_SIZE = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_RATE = {"/s": 1.0}
_NONE = {"": 1.0}

# Quantity -> the operator it takes, and its units, in multiples of the unit that figures are kept in.
_QUANTITIES = {
    "throughput": (">=", _RATE),
    "accuracy": (">=", _NONE),
    "accuracy_drop": ("<=", _NONE),
    "size": ("<=", _SIZE),
    "peak_memory": ("<=", _SIZE),
    "load_time": ("<=", _TIME),
}
PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
_QUANTITIES.update({f"p{percent:g}": ("<=", _TIME) for percent in PERCENTILES})

MACHINE_QUANTITIES = frozenset(
    {"throughput", "load_time", "peak_memory", *(f"p{percent:g}" for percent in PERCENTILES)}
)
"""What depends on the machine, so that two machines' reports cannot be compared by it."""

_FORM = re.compile(r"\s*([a-z_]+[0-9.]*)\s*(<=|>=|<|>|==|=)\s*([+-]?)\s*([0-9.]+(?:e-?[0-9]+)?)\s*([A-Za-z/%]*)\s*")


@dataclass(frozen=True)
class Budget:
    """One limit.

    Attributes:
        text: as the user wrote it.
        quantity: "p90", "accuracy_drop", ...
        limit: in ms, bytes, inferences per second or plain; for a relative budget a fraction, 0.05 for +5%.
        relative: the limit is a change against a baseline.
    """

    text: str
    quantity: str
    limit: float
    relative: bool = False

    def __post_init__(self) -> None:
        if self.quantity not in _QUANTITIES:
            raise ValueError(f"limits {self.quantity!r}; expected one of {', '.join(_QUANTITIES)}")

    @property
    def is_upper(self) -> bool:
        """True where less is better."""
        return _QUANTITIES[self.quantity][0] == "<="


def parse(text: str) -> Budget:
    """Read one budget.

    Raises:
        UsageError: naming what is wrong with it and what would be right.
    """
    match = _FORM.fullmatch(text)
    quantity = match[1] if match else re.split(r"[<>=]", text)[0].strip()
    if quantity not in _QUANTITIES:
        raise UsageError(
            f"Budget '{text}': unknown quantity '{quantity}'; choose from {', '.join(_QUANTITIES)}, as in p99<=10ms."
        )
    operator, units = _QUANTITIES[quantity]
    example = f"{quantity}{operator}{'0.5' if units is _NONE else '10' + next(iter(list(units)[1:]), '/s')}"
    if match is None:
        raise UsageError(f"Budget '{text}' cannot be read; write it like {example}.")
    if match[2] != operator:
        raise UsageError(f"Budget '{text}': {quantity} takes {operator}, as in {example}.")
    try:
        number = float(match[4])
    except ValueError:
        number = math.inf
    if not math.isfinite(number):
        raise UsageError(f"Budget '{text}': '{match[4]}' is not a number; write it like {example}.")
    sign, unit = match[3], match[5]
    if unit == "%":
        return _relative(text, quantity, operator, number, sign)
    if unit not in units:
        raise UsageError(f"Budget '{text}': {quantity} takes {_unit_words(units)}, as in {example}.")
    if sign == "+" and units is not _NONE:
        raise UsageError(
            f"Budget '{text}': a sign is for a change against a baseline, in %, as in {quantity}{operator}+5%; "
            f"write a limit like {example}."
        )
    limit = math.copysign(number * units[unit], -1 if sign == "-" else 1)
    if (quantity == "accuracy_drop" and limit < 0) or (
        quantity != "accuracy_drop" and limit <= 0 and units is not _NONE
    ):
        raise UsageError(f"Budget '{text}': no model can meet it; give a limit above zero, as in {example}.")
    return Budget(text.strip(), quantity, limit)


def parse_all(texts: Sequence[str]) -> tuple[Budget, ...]:
    """Read several, and refuse two limits on one quantity.

    Raises:
        UsageError: as `parse`, or for a repeated quantity.
    """
    budgets = tuple(parse(text) for text in texts)
    seen: dict[tuple[str, bool], str] = {}
    for budget in budgets:
        key = (budget.quantity, budget.relative)
        if key in seen:
            raise UsageError(f"Budgets '{seen[key]}' and '{budget.text}' limit the same quantity; keep one.")
        seen[key] = budget.text
    return budgets


def _relative(text: str, quantity: str, operator: str, number: float, sign: str) -> Budget:
    if quantity == "accuracy_drop":
        raise UsageError(f"Budget '{text}': accuracy_drop is a difference already; write it like accuracy_drop<=0.01.")
    if not sign:
        better = "+5%" if operator == "<=" else "-5%"
        raise UsageError(
            f"Budget '{text}': a change against the baseline has a sign, as in {quantity}{operator}{better}."
        )
    if sign == "-" and number >= 100:
        raise UsageError(f"Budget '{text}': nothing shrinks by 100%; give less, as in {quantity}{operator}-5%.")
    return Budget(text.strip(), quantity, number / 100 * (-1 if sign == "-" else 1), relative=True)


def _unit_words(units: dict[str, float]) -> str:
    return "no unit" if units is _NONE else "one of the units " + ", ".join(units)
