"""Budgets as people write them: `p99<=10ms`, `accuracy_drop<=0.01`, `p90<=+5%`."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwbench.measurements.quantities import PERCENTILES, PLAIN, QUANTITIES
from runtimes.errors import UsageError

_FORM = re.compile(r"\s*([a-z_]+[0-9.]*)\s*(<=|>=|<|>|==|=)\s*([+-]?)\s*([0-9.]+(?:e-?[0-9]+)?)\s*([A-Za-z/%]*)\s*")


@dataclass(frozen=True)
class Budget:
    """One limit.

    Attributes:
        text: the budget as the user wrote it.
        quantity: "p90", "accuracy_drop", ...
        limit: in ms, bytes, inferences per second, microjoules or plain; a fraction if relative, 0.05 for +5%.
        relative: True if the limit is a change against a baseline.
        at_most: True for an upper limit on a quantity that usually has a lower one: the accuracy by an error metric.
        is_default: True for the limit on the accuracy that `build` sets if the user gave none.
    """

    text: str
    quantity: str
    limit: float
    relative: bool = False
    at_most: bool = False
    is_default: bool = False

    def __post_init__(self) -> None:
        if self.quantity not in QUANTITIES:
            raise ValueError(f"limits {self.quantity!r}; expected one of {', '.join(QUANTITIES)}")

    @property
    def is_upper(self) -> bool:
        """True if a lower value is better."""
        return self.at_most or QUANTITIES[self.quantity].operators[0] == "<="


def parse(text: str) -> Budget:
    """Read one budget.

    Raises:
        UsageError: the text is no budget; says what is wrong and what would be right.
    """
    match = _FORM.fullmatch(text)
    quantity = match[1] if match else re.split(r"[<>=]", text)[0].strip()
    if quantity not in QUANTITIES:
        raise UsageError(
            f"Budget '{text}': unknown quantity '{quantity}'; choose from {', '.join(QUANTITIES)}, as in p99<=10ms."
        )
    operators, units = QUANTITIES[quantity].operators, QUANTITIES[quantity].units
    operator = match[2] if match and match[2] in operators else operators[0]
    example = f"{quantity}{operator}{'0.5' if units is PLAIN else '10' + next(iter(list(units)[1:]), '/s')}"
    if match is None:
        raise UsageError(f"Budget '{text}' cannot be read; write it like {example}.")
    if match[2] != operator:
        raise UsageError(f"Budget '{text}': {quantity} takes {' or '.join(operators)}, as in {example}.")
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
    if sign == "+" and units is not PLAIN:
        raise UsageError(
            f"Budget '{text}': a sign is for a change against a baseline, in %, as in {quantity}{operator}+5%; "
            f"write a limit like {example}."
        )
    limit = math.copysign(number * units[unit], -1 if sign == "-" else 1)
    if (quantity == "accuracy_drop" and limit < 0) or (
        quantity != "accuracy_drop" and limit <= 0 and units is not PLAIN
    ):
        raise UsageError(f"Budget '{text}': no model can meet it; give a limit above zero, as in {example}.")
    return Budget(text.strip(), quantity, limit, at_most=operator != operators[0])


def parse_all(texts: Sequence[str]) -> tuple[Budget, ...]:
    """Read several budgets; refuse two on one quantity, and a percentile's limit that another makes ineffective.

    Raises:
        UsageError: a budget is refused by `parse`, or two budgets contradict each other.
    """
    budgets = tuple(parse(text) for text in texts)
    seen: dict[tuple[str, bool], str] = {}
    for budget in budgets:
        key = (budget.quantity, budget.relative)
        if key in seen:
            raise UsageError(f"Budgets '{seen[key]}' and '{budget.text}' limit the same quantity; keep one.")
        seen[key] = budget.text
    _check_percentiles([budget for budget in budgets if not budget.relative])
    return budgets


def _check_percentiles(budgets: Sequence[Budget]) -> None:
    """Refuse a wider limit on the lower of two percentiles: it has no effect, as no percentile exceeds a higher one."""
    names = {f"p{percent:g}": percent for percent in PERCENTILES}
    ordered = sorted((b for b in budgets if b.quantity in names), key=lambda b: names[b.quantity])
    for lower, higher in itertools.pairwise(ordered):
        if lower.limit > higher.limit:
            raise UsageError(
                f"Budgets '{lower.text}' and '{higher.text}' contradict each other: {lower.quantity} never exceeds "
                f"{higher.quantity}, so the first has no effect; keep one."
            )


def _relative(text: str, quantity: str, operator: str, number: float, sign: str) -> Budget:
    if quantity == "accuracy_drop":
        raise UsageError(f"Budget '{text}': accuracy_drop is a difference already; write it like accuracy_drop<=0.01.")
    if not sign:
        better = "+5%" if operator == "<=" else "-5%"
        share = f"; a share is {quantity}{operator}{number / 100:g}" if QUANTITIES[quantity].units is PLAIN else ""
        raise UsageError(
            f"Budget '{text}': a change against the baseline has a sign, as in {quantity}{operator}{better}{share}."
        )
    if sign == "-" and number >= 100:
        raise UsageError(f"Budget '{text}': nothing shrinks by 100%; give less, as in {quantity}{operator}-5%.")
    at_most = operator != QUANTITIES[quantity].operators[0]
    return Budget(text.strip(), quantity, number / 100 * (-1 if sign == "-" else 1), True, at_most)


def _unit_words(units: Mapping[str, float]) -> str:
    return "no unit" if units is PLAIN else "one of the units " + ", ".join(units)
