"""Chart of one bar per candidate, for a quantity where a lower value is better."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from hwbench.budgets.budget import Budget
from hwbench.formats.charts import inline_svg
from hwbench.formats.charts.inline_svg import ACCENT, INK, QUIET
from hwbench.formats.sections import rows
from hwbench.formats.sections.rows import Row
from hwbench.measurements.quantities import QUANTITIES
from hwbench.results.profile_results import ProfileResult

WIDTH = 400
_ROW = 27  # pixels for a bar
_ABOVE = 20  # pixels for a budget's name


def drawable(table: Sequence[Row], quantity: str) -> tuple[Row, ...]:
    """List the candidates that have the figure, the lowest first."""
    return tuple(sorted((r for r in table if quantity in r.figures), key=lambda r: r.figures[quantity].value))


def height(result: ProfileResult, table: Sequence[Row], quantity: str) -> int:
    """Compute the height of the chart in pixels."""
    return _rows_height(drawable(table, quantity)) + (_ABOVE if _limits(result, table, quantity) else 4)


def draw(figure: Figure, result: ProfileResult, table: Sequence[Row], quantity: str) -> None:
    """Draw the chart; at least one row must be drawable."""
    shown, tall = drawable(table, quantity), height(result, table, quantity)
    left = inline_svg.name_width([row.tag for row in shown])
    axes = figure.add_axes((left / WIDTH, 2 / tall, (WIDTH - left - 74) / WIDTH, _rows_height(shown) / tall))
    scale = QUANTITIES[quantity].scale
    values = [row.figures[quantity].value * scale for row in shown]
    selected = [row.candidate.status == "selected" for row in shown]
    axes.barh(
        range(len(shown)), values, height=0.64, color=[ACCENT if is_selected else QUIET for is_selected in selected]
    )
    for position, (row, value) in enumerate(zip(shown, values)):
        axes.annotate(
            f"{rows.show(quantity, row.figures[quantity].value)} {QUANTITIES[quantity].unit}", (value, position),
            xytext=(6, 0), textcoords="offset points", va="center_baseline", fontsize=12, annotation_clip=False,
            color=ACCENT if selected[position] else INK, weight="bold" if selected[position] else "normal",
        )  # fmt: skip
    inline_svg.name_rows(axes, [row.tag for row in shown], selected)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(0, max(values) or 1)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    for budget in _limits(result, table, quantity):
        inline_svg.limit_above(axes, budget.limit * scale, budget.text)


def _rows_height(shown: Sequence[Row]) -> int:
    return len(shown) * max(_ROW, inline_svg.name_height([row.tag for row in shown]))


def _limits(result: ProfileResult, table: Sequence[Row], quantity: str) -> list[Budget]:
    """List the budgets that one of the bars breaks; a limit beyond all bars would squeeze them."""
    longest = max(row.figures[quantity].value for row in drawable(table, quantity))
    return [b for b in result.budgets if b.quantity == quantity and not b.relative and b.limit <= longest]
