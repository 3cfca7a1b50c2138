"""Quantities: the one table of figures that are measured, limited and shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_TIME = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_SIZE = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_RATE = {"/s": 1.0}
_ENERGY = {"uJ": 1.0, "mJ": 1e3, "J": 1e6}
_COUNT = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_SHARE = {"": 1.0, "%": 1e-2}
PLAIN: Mapping[str, float] = {"": 1.0}

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)


@dataclass(frozen=True)
class Quantity:
    """One kind of figure.

    Attributes:
        operators: the operators of a limit on it; the first is the usual one.
        units: units of a budget, in multiples of the unit that figures are stored in.
        heading: title of its column.
        unit: unit shown in a table; "" for a plain number.
        stored_suffix: the unit that figures are stored in, as the suffix of a name.
        scale: factor from the unit stored to the unit shown.
        interval: True if a table shows the interval.
        of_machine: True if the figure depends on the machine, so that reports of two machines cannot be compared by it.
        remedy: advice if the interval is on both sides of a limit.
        by_gate: True if nothing but a gate measures it.
    """

    operators: tuple[str, ...]
    units: Mapping[str, float]
    heading: str
    unit: str = ""
    stored_suffix: str = ""
    scale: float = 1.0
    interval: bool = True
    of_machine: bool = False
    remedy: str = ""
    by_gate: bool = False

    def written(self, value: float) -> str:
        """Format a figure for a sentence, with its unit."""
        if self.units is _SIZE:
            return f"{value / 1e6:.2f} MB" if value >= 1e4 else f"{value:,.0f} B"
        if self.units is _RATE:
            return f"{per_s(value)}/s"
        if self.units is _ENERGY:
            return f"{value / 1e3:.3g} mJ"
        if self.units is _COUNT:
            return f"{value:,.0f}" if value < 1e6 else f"{value / 1e6:,.5g} M"
        if self.units is _SHARE:
            return f"{value:.1%}"
        if self.units is _TIME:
            return f"{value:.3g} ms" if value < 1e3 else f"{value:,.0f} ms"
        return f"{value:.4f}"


def split(figure: str) -> tuple[str, str]:
    """Split the name of a figure, as accuracy_drop[mae], in the quantity and the metric; "" means the first metric."""
    quantity, _, key = figure.partition("@")[0].partition("[")
    return quantity, key.removesuffix("]")


def of_metric(quantity: str, key: str) -> str:
    """Name the figure of a metric, as `split` takes it apart."""
    return f"{quantity}[{key}]" if key else quantity


def at_sizes(figure: str, sizes: Mapping[str, int]) -> str:
    """Name a figure at sizes of dimensions: "p90@L=256"."""
    return f"{figure}@{','.join(f'{name}={size}' for name, size in sorted(sizes.items()))}" if sizes else figure


def quantity_of(figure: str) -> Quantity:
    """Look up the quantity of a figure."""
    return QUANTITIES[split(figure)[0]]


def percent_of(quantity: str) -> float | None:
    """Return the percent of a percentile's name, 99.0 of "p99"; None for other quantities."""
    return next((percent for percent in PERCENTILES if quantity == f"p{percent:g}"), None)


def per_s(rate: float) -> str:
    """Format a rate: whole, but with three digits at least."""
    return f"{rate:,.0f}" if abs(rate) >= 100 else f"{rate:.3g}"


def _percentile(percent: float) -> Quantity:
    return Quantity(("<=",), _TIME, f"p{percent:g}", "ms", "_ms", of_machine=True, remedy="measure for longer")


QUANTITIES: Mapping[str, Quantity] = {
    # A limit on an error metric, such as a loss, is an upper one.
    "accuracy": Quantity((">=", "<="), PLAIN, "accuracy"),
    "accuracy_drop": Quantity(("<=",), PLAIN, "drop"),
    **{f"p{percent:g}": _percentile(percent) for percent in PERCENTILES},
    "throughput": Quantity((">=",), _RATE, "rate", "per s", "_per_s", of_machine=True, remedy="measure for longer"),
    "load_time": Quantity(
        ("<=",),
        _TIME,
        "load",
        "ms",
        "_ms",
        of_machine=True,
        remedy="there is one load per process, so measure again on a quieter machine",
    ),
    "size": Quantity(("<=",), _SIZE, "size", "MB", "_bytes", 1e-6, interval=False),
    "peak_memory": Quantity(
        ("<=",),
        _SIZE,
        "memory",
        "MB",
        "_bytes",
        1e-6,
        interval=False,
        of_machine=True,
        remedy="there is one peak per process, and processes differ by as much",
    ),
    # The share of nodes that run where they should, as the runtime tells.
    "placement": Quantity((">=",), _SHARE, "placed", "%", scale=100.0, interval=False, by_gate=True),
    "instructions": Quantity(("<=",), _COUNT, "instructions", "M", scale=1e-6, interval=False, by_gate=True),
    # Energy is per inference, whatever its batch. It is all that the meters count meanwhile, idle power included.
    "energy": Quantity(
        ("<=",), _ENERGY, "energy", "mJ", "_uj", 1e-3, of_machine=True, remedy="measure for longer, on a quiet machine"
    ),
}
