"""The page of families has a row for each, and no empty cell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import families_page
from benchmarks.family_rows import RUNTIMES, Figures, Row
from tests import families

ROOT = Path(__file__).resolve().parents[2]

INT8 = Figures({"top1": (0.95, 0.94)}, (1.5, 1.2, 1.8), {"MatMul": 2}, 5, "eligible: slower")
ROWS = [
    Row("whole", "Whole", "a model", ("x=float32[N,4]",), ("top1",), 3, 1e-6, dict.fromkeys(RUNTIMES, INT8)),
    Row("missing", refusal="The family 'missing' needs the package 'keras'"),
    Row("refused", "Refused", "a model", ("x=float32[N,4]",), ("top1",), refusal="it cannot be exported"),
    Row("float", "Float", "a model", ("x=float32[N,4]",), ("parity",), 1, 0.0, {RUNTIMES[0]: Figures(note="no Conv")}),
    Row("form", "Form", "a model", (), ("mse",), 1, 1e-7, refused={"make_x": "says a | why"}, refusal="the build died"),
]


def cells(page: str) -> list[list[str]]:
    return [line.strip("|").split("|") for line in page.splitlines() if line.startswith("|")]


@pytest.mark.parametrize("page", [families_page.page(ROWS), (ROOT / "docs/families.md").read_text()])
def test_no_cell_is_empty(page: str) -> None:
    rows = cells(page)
    assert len(rows) > 10
    assert [row for row in rows if not all(cell.strip() for cell in row)] == []


def test_what_has_no_figure_has_its_reason() -> None:
    page = families_page.page(ROWS)
    assert (
        "| 0.9500 | 0.9400 | 1.50x | 2 MatMul (both factors are computed, as in attention) | eligible: slower |" in page
    )
    for reason in ("needs the package 'keras'", "it cannot be exported", "no Conv", "the build died", "says a / why"):
        assert reason in page


def test_the_page_has_every_family() -> None:
    sections = re.split(r"^## ", (ROOT / "docs/families.md").read_text(), flags=re.MULTILINE)
    for section in sections[1:4]:
        assert len(cells(section)) - 2 == len(families.names()), section.splitlines()[0]
