"""Inline SVG of a drawing, in the page's own colours, so that it follows dark mode."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Callable, Sequence
from html import escape
from io import StringIO

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

# Colours stand for variables of the page's style sheet: matplotlib draws with light values, `_inline` replaces them.
INK, MUTED, GRID, ACCENT, QUIET, BAND, LIMIT, SURFACE = (
    "#1d2430", "#5a6473", "#e3e7ec", "#0b5cad", "#8993a1", "#eaf2fb", "#a35200", "#fffffe",
)  # fmt: skip
_VARIABLES = {
    INK: "ink", MUTED: "muted", GRID: "line", ACCENT: "accent", QUIET: "quiet", BAND: "band", LIMIT: "limit",
    SURFACE: "surface",
}  # fmt: skip

_STYLE = {
    "font.family": "sans-serif",
    "font.size": 12,
    "text.color": INK,
    "text.parse_math": False,  # a name may hold dollar signs
    "axes.edgecolor": GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 1,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 11.5,
    "ytick.labelsize": 11.5,
    "xtick.minor.size": 0,
    "ytick.major.size": 0,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",  # text stays text: small, selectable, in the page's font
}

_DIGIT, _APART = 7.0, 8.0  # a digit's width and the least room between two numbers, in pixels
_LOG_FROM = 10.0  # ratio of the ends above which an axis reads better in logarithms


def render(draw: Callable[[Figure], None], width: int, height: int, name: str, description: str) -> str:
    """Render one `<svg>` element; equal drawings give equal text.

    Args:
        draw: function that draws into the figure; one unit is one pixel at full width.
        width: width in pixels.
        height: height in pixels.
        name: a name that is unique on the page; it begins every id.
        description: text for screen readers.
    """
    text = StringIO()
    with matplotlib.style.context(["default", {**_STYLE, "svg.hashsalt": name}]), warnings.catch_warnings():
        # matplotlib's own font only measures the room for a label; the browser has the glyph.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        draw(figure)
        figure.savefig(text, format="svg", metadata={"Date": None})
    return _inline(text.getvalue(), width, height, name, description)


def title_axes(axes: Axes, x: str = "", y: str = "") -> None:
    """Write axis titles that read from left to right: y above its axis, x below its right end."""
    axes.set_title(y, loc="left", fontsize=11.5, color=MUTED, pad=10)
    axes.set_xlabel(x, loc="right", fontsize=11.5, color=MUTED, labelpad=6)


def limit_line(axes: Axes, *, x: float | None = None, y: float | None = None) -> None:
    """Draw a line at a budget's limit: vertical at x, or horizontal at y."""
    lines = [axes.axvline(x)] if x is not None else []
    lines += [axes.axhline(y)] if y is not None else []
    for line in lines:
        line.set(color=LIMIT, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1.5)


def limit_above(axes: Axes, x: float, text: str) -> None:
    """Draw a vertical line at a budget's limit, named at its upper end."""
    limit_line(axes, x=x)
    axes.annotate(
        text, (x, 1), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
        ha="center", va="bottom", fontsize=11, color=LIMIT, annotation_clip=False,
    )  # fmt: skip


def name_rows(axes: Axes, tags: Sequence[str], selected: Sequence[bool]) -> None:
    """Write names on the y axis, from 0 up, the selected one in bold."""
    axes.set_yticks(range(len(tags)), list(tags))
    for text, is_selected in zip(axes.get_yticklabels(), selected):
        text.set(color=ACCENT if is_selected else INK, weight="bold" if is_selected else "normal")
        two_lines = "\n" in text.get_text()
        text.set(fontsize=11 if two_lines else 12, va="center" if two_lines else "center_baseline")


def name_width(tags: Sequence[str]) -> float:
    """Compute the room for names on the y axis, in pixels."""
    return 16 + 6.8 * max(len(line) for tag in tags for line in tag.split("\n"))


def name_height(tags: Sequence[str]) -> int:
    """Compute the room for the tallest name on the y axis, in pixels."""
    return 12 + 12 * max((tag.count("\n") + 1 for tag in tags), default=1)


def scale_x(axes: Axes, low: float, high: float) -> bool:
    """Give the x axis its range and a few plain numbers; use logarithms if it spans more than 10x, and tell whether."""
    is_log = low > 0 and high > _LOG_FROM * low
    locators: list[Locator]
    if is_log:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        locators = [LogLocator(subs=subs) for subs in ((1, 2, 5), (1, 3), (1,))]
        locators += [LogLocator(base) for base in (1e2, 1e4)]
    else:
        axes.xaxis.set_major_formatter(ScalarFormatter(useOffset=False))
        locators = [MaxNLocator(count) for count in range(6, 0, -1)]
    axes.set_xlim(low, high)
    for locator in locators:
        axes.xaxis.set_major_locator(locator)
        if _stand_apart(axes):
            break
    return is_log


def _stand_apart(axes: Axes) -> bool:
    """Tell whether the numbers on the x axis leave room between them."""
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.xaxis.get_majorticklocs() if low <= tick <= high]
    texts = axes.xaxis.get_major_formatter().format_ticks(ticks)
    places = [axes.transData.transform((tick, axes.get_ylim()[0]))[0] for tick in ticks]
    widths = [_DIGIT * len(text) for text in texts]
    pairs = itertools.pairwise(zip(places, widths))
    return all(right - left >= (before + after) / 2 + _APART for (left, before), (right, after) in pairs)


def _inline(document: str, width: int, height: int, name: str, description: str) -> str:
    body = document[document.index("<svg") :]
    body = body[body.index(">") + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)  # it would style the page
    body = re.sub(r"<!--.*?-->\s*", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(?:xlink:)?href="#', f'href="#{name}-', body).replace("url(#", f"url(#{name}-")
    body = re.sub(r"\n\s*", "\n", body)
    for color, variable in _VARIABLES.items():
        body = body.replace(color, f"var(--{variable})")
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(description)}">{body.strip()}\n'
