"""Candidates that a reader wants to see one by one, and the others in groups that share a reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hwbench.formats.sections.headline import reference, selected_row
from hwbench.formats.sections.rows import Row, label
from hwbench.wording import some

_MOST = 8  # rows that a reader can take in at once
_STATUSES = ("selected", "measured", "eligible", "rejected", "not built")  # the order of interest
_FIGURES = re.compile(  # figures, and names of precisions and profiles, which hold digits, too
    r"\([^()]*\d[^()]*\)|\S*\d\S*"
)


@dataclass(frozen=True)
class Group:
    """Candidates that have one status for one reason.

    Attributes:
        first: the first of them, whose reason is shown.
        others: names of the rest.
    """

    first: Row
    others: tuple[str, ...]

    @property
    def reason(self) -> str:
        """The first one's reason, with the names of the others."""
        if not self.others:
            return self.first.candidate.reason
        others = some(self.others, separator="; ")
        return f"{self.first.candidate.reason.rstrip('.')} (likewise {others})"


def notable(table: tuple[Row, ...]) -> tuple[Row, ...]:
    """Select rows with figures: the selected candidate, its reference, then eligible and rejected candidates."""
    first = [
        row for row in (selected_row(table), reference(table)) if row is not None and row.candidate.report is not None
    ]
    others = [row for row in table if row.candidate.report is not None and row not in first]
    ordered = sorted(others, key=lambda row: _STATUSES.index(row.candidate.status))
    return (*first, *ordered)[:_MOST]


def groups(rows: Iterable[Row], table: Sequence[Row]) -> tuple[Group, ...]:
    """Group rows whose status and reason agree, apart from figures.

    Args:
        rows: the rows to group.
        table: all rows, whose names a reason may hold.
    """
    names = sorted((row.candidate.name for row in table), key=len, reverse=True)
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.candidate.status, _gist(row, names)), []).append(row)
    made = [Group(first, tuple(label(row.candidate) for row in others)) for first, *others in found.values()]
    return tuple(sorted(made, key=lambda group: _STATUSES.index(group.first.candidate.status)))


def _gist(row: Row, names: Sequence[str]) -> str:
    """Reduce a reason to its words and to the other candidates that it names."""
    text, named = row.candidate.reason.replace(row.candidate.name, ""), []
    for name in names:
        if name in text:
            named.append(name)
            text = text.replace(name, "")
    words = _FIGURES.sub("", text.replace(row.candidate.runtime, ""))
    return " ".join([*words.split(), *named])
