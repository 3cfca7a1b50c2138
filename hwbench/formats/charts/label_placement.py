"""Labels beside points and lines, placed so that none covers another.

adjustText 1.4.0 was compared on axes of this size, with four settings of its forces: labels overlapped in 1 to 3 of 72
random charts of two to eight points and in 2 to 3 of 9 clusters of five, and covered markers in 6 to 11 of the 72. The
search below left no labels overlapping, covered a marker in one chart, and took a third of the time or less.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from hwbench.formats.charts.inline_svg import LIMIT, MUTED

_DISTANCES = (6, 9, 14, 20, 27, 34, 42, 50, 68, 90, 115, 140)
_DIRECTIONS = (
    (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1), (0.5, 1), (0.5, -1), (-0.5, 1), (-0.5, -1), (0, 1), (0, -1),
)  # fmt: skip
_LEADER_FROM = 16  # a label farther off, in pixels, needs a line to its point
_STEPS = 32  # places that are tried along a limit's line for its name
_OFF = (3, 6, 10)  # pixels between the line and its name
_HALF_LINE = 1.5  # pixels, as `_HALF_MARKER`
_HALF_MARKER = 6.0


@dataclass(frozen=True)
class Point:
    """A point to label.

    Attributes:
        x, y: place in data coordinates.
        error_bars: low and high of x, then of y.
        important: True for a label that is placed first, in bold.
    """

    text: str
    x: float
    y: float
    error_bars: tuple[float, float, float, float]
    color: str
    important: bool = False


class Labels:
    """Labels of one chart, and the areas that they should not cover.

    Attributes:
        boxes: areas of the labels, in display coordinates, in the order of placement.
    """

    def __init__(self, axes: Axes) -> None:
        self._axes = axes
        figure = axes.figure
        assert isinstance(figure, Figure)
        self._renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
        self._inside = axes.get_window_extent(self._renderer)
        self._taken: list[Bbox] = []
        self.boxes: list[Bbox] = []

    def keep_free(self, points: Iterable[Point], line: Sequence[tuple[float, float]] = ()) -> None:
        """Keep labels off markers, their error bars, and a line of horizontal and vertical pieces, by its corners."""
        for point in points:
            x_low, x_high, y_low, y_high = point.error_bars
            self._keep(point.x, point.x, point.y, point.y, _HALF_MARKER)
            self._keep(x_low, x_high, point.y, point.y, _HALF_LINE)
            self._keep(point.x, point.x, y_low, y_high, _HALF_LINE)
        for (x0, y0), (x1, y1) in itertools.pairwise(line):
            self._keep(min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1), _HALF_LINE)

    def name_limit(self, text: str, *, x: float | None = None, y: float | None = None) -> None:
        """Name a vertical line at x or a horizontal one at y, at a place along it that has room."""
        width, height = self._size(text, 11, "normal")
        to_display, inside = self._axes.transData.transform, self._inside
        places: list[tuple[float, float]] = []
        for step in range(_STEPS + 1):
            left = inside.x0 + 3 + (inside.width - width - 6) * step / _STEPS
            bottom = inside.y0 + 3 + (inside.height - height - 6) * step / _STEPS
            if x is not None:
                at = to_display((x, self._axes.get_ylim()[0]))[0]
                places += [spot for off in _OFF for spot in ((at + off, bottom), (at - off - width, bottom))]
            if y is not None:
                at = to_display((self._axes.get_xlim()[0], y))[1]
                places += [spot for off in _OFF for spot in ((left, at + off), (left, at - off - height))]
        boxes = [Bbox.from_bounds(left, bottom, width, height) for left, bottom in places]
        box = min(boxes, key=lambda box: self._cost(box, 0))
        self._write(text, box, 11, LIMIT, "normal")

    def name(self, points: Sequence[Point]) -> None:
        """Write every point's label at the nearest free place."""
        for point in sorted(points, key=lambda point: not point.important):
            weight = "bold" if point.important else "normal"
            width, height = self._size(point.text, 12, weight)
            x, y = self._axes.transData.transform((point.x, point.y))
            box, _ = min(_around(x, y, width, height), key=lambda place: self._cost(*place))
            self._write(point.text, box, 12, point.color, weight)
            self._leader((x, y), box)

    def _keep(self, x_low: float, x_high: float, y_low: float, y_high: float, around: float) -> None:
        left, bottom = self._axes.transData.transform((x_low, y_low))
        right, top = self._axes.transData.transform((x_high, y_high))
        self._taken.append(Bbox.from_extents(left - around, bottom - around, right + around, top + around))

    def _size(self, text: str, fontsize: float, weight: str) -> tuple[float, float]:
        drawn = self._axes.text(0.5, 0.5, text, fontsize=fontsize, weight=weight, transform=self._axes.transAxes)
        extent = drawn.get_window_extent(self._renderer)
        drawn.remove()
        return extent.width, extent.height

    def _cost(self, box: Bbox, distance: float) -> tuple[float, float]:
        """Rate a place in square pixels: first overlap with labels and area outside, then lines and distance."""
        outside = box.width * box.height - _overlap(box, self._inside)
        labels = sum(_overlap(box, other) for other in self.boxes)
        lines = sum(_overlap(box, other) for other in self._taken)
        return round(labels + outside, 3), lines + 2 * distance

    def _write(self, text: str, box: Bbox, fontsize: float, color: str, weight: str) -> None:
        x, y = self._axes.transData.inverted().transform((box.x0, box.y0))
        self._axes.text(x, y, text, fontsize=fontsize, color=color, weight=weight, va="bottom", zorder=5)
        self.boxes.append(box)

    def _leader(self, point: tuple[float, float], box: Bbox) -> None:
        x, y = point
        end = (min(max(x, box.x0), box.x1), min(max(y, box.y0), box.y1))
        if abs(end[0] - x) + abs(end[1] - y) < _LEADER_FROM:
            return
        xs, ys = zip(*self._axes.transData.inverted().transform([(x, y), end]))
        self._axes.plot(xs, ys, color=MUTED, linewidth=0.7, zorder=2, scalex=False, scaley=False)


def _around(x: float, y: float, width: float, height: float) -> Iterable[tuple[Bbox, float]]:
    """Yield boxes beside a point with their distances, the nearest first."""
    for distance, (right, up) in itertools.product(_DISTANCES, _DIRECTIONS):
        left = x + right * distance - width * (1 - right) / 2
        bottom = y + up * distance - height * (1 - up) / 2
        yield Bbox.from_bounds(left, bottom, width, height), distance


def _overlap(a: Bbox, b: Bbox) -> float:
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return width * height if width > 0 and height > 0 else 0.0
