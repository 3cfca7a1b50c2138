"""Budgets as people write them: `p99<=10ms`, `accuracy_drop<=0.01`, `accuracy_drop[mae]<=1%`, `p90<=+5%`."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hwbench.data.input_shapes import read_size
from hwbench.measurements.quantities import PERCENTILES, PLAIN, QUANTITIES, at_sizes, of_metric
from runtimes.errors import UsageError

_FORM = re.compile(
    r"\s*([a-z_]+[0-9.]*)(?:\[([^\]]*)\]|@([^<>=@\s]+=[0-9]+(?:,[^<>=@\s]+=[0-9]+)*))?\s*(<=|>=|<|>|==|=)\s*([+-]?)\s*([0-9.]+(?:e-?[0-9]+)?)\s*([A-Za-z/%]*)\s*"
)


@dataclass(frozen=True)
class Budget:
    """One limit.

    Attributes:
        text: the budget as the user wrote it.
        quantity: "p90", "accuracy_drop", ...
        limit: in ms, bytes, inferences per second, microjoules or plain; a fraction if it is a percentage, 0.05 for 5%.
        relative: True if the limit is a change against a baseline.
        of_source: True if the limit is a share of the value that a drop is measured from, the source model's.
        metric: for an accuracy, the metric or the output that the user named in brackets; "" for the first metric.
        at_most: True for an upper limit on a quantity that usually has a lower one: the accuracy by an error metric.
        at: sizes of dimensions that the figure is of, by name; none for those of the samples.
        is_default: True for the limit on the accuracy that `build` sets if the user gave none.
    """

    text: str
    quantity: str
    limit: float
    relative: bool = False
    at_most: bool = False
    is_default: bool = False
    of_source: bool = False
    metric: str = ""
    at: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.quantity not in QUANTITIES:
            raise ValueError(f"limits {self.quantity!r}; expected one of {', '.join(QUANTITIES)}")

    @property
    def figure(self) -> str:
        """Name of the figure that it limits: "p90", "accuracy_drop[mae]", "p90@L=256"."""
        return at_sizes(of_metric(self.quantity, self.metric), self.at)

    @property
    def is_accuracy(self) -> bool:
        """True for the value of a metric, or its drop."""
        return self.quantity.startswith("accuracy")

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
    quantity = match[1] if match else re.split(r"[<>=\[@]", text)[0].strip()
    if quantity not in QUANTITIES:
        raise UsageError(
            f"Budget '{text}': unknown quantity '{quantity}'; choose from {', '.join(QUANTITIES)}, as in p99<=10ms."
        )
    operators, units = QUANTITIES[quantity].operators, QUANTITIES[quantity].units
    operator = match[4] if match and match[4] in operators else operators[0]
    example = f"{quantity}{operator}{'0.5' if units is PLAIN else '10' + next(iter(list(units)[1:]), '/s')}"
    if match is None:
        raise UsageError(f"Budget '{text}' cannot be read; write it like {example}.")
    metric = match[2]
    if metric is not None and not (metric and quantity.startswith("accuracy")):
        raise UsageError(
            f"Budget '{text}': brackets name the metric of an accuracy, as in accuracy_drop[mae]<=0.01; leave them out."
        )
    at = _sizes(text, quantity, match[3])
    if match[4] != operator:
        raise UsageError(f"Budget '{text}': {quantity} takes {' or '.join(operators)}, as in {example}.")
    try:
        number = float(match[6])
    except ValueError:
        number = math.inf
    if not math.isfinite(number):
        raise UsageError(f"Budget '{text}': '{match[6]}' is not a number; write it like {example}.")
    sign, unit = match[5], match[7]
    if quantity == "placement" and (sign or number * units.get(unit, 1.0) > 1):
        raise UsageError(f"Budget '{text}': placement is a share of the nodes, from 0% to 100%, as in placement>=95%.")
    if unit == "%" and "%" not in units:
        return dataclasses.replace(_percentage(text, quantity, operator, number, sign), metric=metric or "", at=at)
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
    return Budget(text.strip(), quantity, limit, at_most=operator != operators[0], metric=metric or "", at=at)


def parse_all(texts: Sequence[str]) -> tuple[Budget, ...]:
    """Read several budgets; refuse two on one quantity, and a percentile's limit that another makes ineffective.

    Raises:
        UsageError: a budget is refused by `parse`, or two budgets contradict each other.
    """
    budgets = tuple(parse(text) for text in texts)
    seen: dict[tuple[str, bool], str] = {}  # by figure, and whether it is compared with a baseline
    for budget in budgets:
        key = (budget.figure, budget.relative)
        if key in seen:
            raise UsageError(f"Budgets '{seen[key]}' and '{budget.text}' limit the same quantity; keep one.")
        seen[key] = budget.text
    for at in {tuple(sorted(budget.at.items())) for budget in budgets}:
        _check_percentiles([b for b in budgets if not b.relative and tuple(sorted(b.at.items())) == at])
    return budgets


def _sizes(text: str, quantity: str, at: str | None) -> dict[str, int]:
    """Read the sizes after a budget's @."""
    if at is None:
        return {}
    if not QUANTITIES[quantity].of_machine or quantity == "load_time":
        raise UsageError(f"Budget '{text}': {quantity} does not depend on the inputs' sizes; leave out '@{at}'.")
    sizes: dict[str, int] = {}
    for name, _, digits in (part.partition("=") for part in at.split(",")):
        size = read_size(digits)
        if size is None:
            raise UsageError(f"Budget '{text}': a size is from 1 to 999,999,999, as in {quantity}@L=256.")
        if name in sizes:
            raise UsageError(f"Budget '{text}' gives {name} two sizes; keep one, or write two budgets.")
        sizes[name] = size
    return sizes


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


def _percentage(text: str, quantity: str, operator: str, number: float, sign: str) -> Budget:
    if quantity == "accuracy_drop" and sign:
        raise UsageError(
            f"Budget '{text}': accuracy_drop is a difference already; write it like accuracy_drop<=0.01, or "
            "accuracy_drop<=1% of the source's value."
        )
    if quantity == "accuracy_drop":
        return Budget(text.strip(), quantity, number / 100, of_source=True)
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
