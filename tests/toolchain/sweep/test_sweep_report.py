"""The report of a sweep: which precision is best, what it costs, and what its tables show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from toolchain.sweep import sweep_tables
from toolchain.sweep.cells import CellRecord, list_cells
from toolchain.sweep.sweep_report import SweepReport, SweepRow, best, row_of


def row(precision, outcome, p50=None, **fields):
    figures = {"size": 1000.0} | ({} if p50 is None else {"p50": p50, "throughput": 1000 / p50})
    return SweepRow("net", "rpi5", precision, "built", candidate=precision, outcome=outcome, figures=figures, **fields)


def test_the_best_meets_its_budgets_and_is_the_fastest():
    rows = (
        row("int8", "fail", 1.0),
        row("fp16", "pass", 3.0),
        row("fp32", "pass", 4.0),
        row("bf16", "inconclusive", 2),
    )
    assert best(rows)["net", "rpi5"].precision == "fp16"
    assert SweepReport(1, rows).outcome == "pass"
    assert SweepReport(1, rows[:1]).outcome == "fail"
    assert SweepReport(1, (SweepRow("net", "rpi5", "bf16", "not built"),)).outcome == "inconclusive"


@given(st.lists(st.sampled_from(["pass", "fail", "inconclusive"]), min_size=1, max_size=6), st.randoms())
def test_a_further_precision_makes_no_outcome_worse(outcomes, random):
    rows = [row(str(number), outcome, random.uniform(0.1, 9)) for number, outcome in enumerate(outcomes)]
    order = ["pass", "inconclusive", "fail"]
    before = [order.index(SweepReport(1, tuple(rows[: n + 1])).outcome) for n in range(len(rows))]
    assert before == sorted(before, reverse=True)
    assert SweepReport(1, tuple(rows)).outcome == min(outcomes, key=order.index)


def test_a_cell_that_was_not_run_or_failed_leaves_the_sweep_incomplete(request_of):
    (cell, _) = list_cells([request_of()])
    assert row_of(cell, None, None, None).status == "not run"
    failed = row_of(cell, CellRecord("", "failed", "no memory", "board", 2.0), None, 1.0)
    assert (failed.status, failed.reason, failed.place) == ("failed", "no memory", "board")
    assert row_of(cell, CellRecord("", "built"), None, None).status == "failed"  # its report is damaged
    nothing = row_of(cell, CellRecord("", "not built", "no bf16"), None, None)
    assert SweepReport(1, (nothing,)).is_complete
    assert not SweepReport(1, (nothing, failed)).is_complete


@pytest.mark.parametrize("write", [lambda report: sweep_tables.text(report, 140), sweep_tables.as_markdown])
def test_tables_show_models_against_devices_budgets_costs_and_reasons(write):
    rows = (
        row("int8", "pass", 2.0, budgets={"p50<=5ms": "pass"}, cost=1.25, losses=("The board a was lost.",)),
        SweepRow("net", "rpi4", "int8", "failed", "no | memory"),
        SweepRow("net", "rpi4", "fp32", "failed", "no | memory"),
    )
    shown = write(SweepReport(1, rows, {"rpi5": 0.02})).replace("\\", "")  # Markdown's escapes
    for words in ("pass, int8, 2.00 ms, 1.25 per million", "p50<=5ms pass", "Built elsewhere", "rpi4"):
        assert words in shown
    assert shown.count("memory") == 1  # one reason, however many cells it is of


def test_markdown_is_tables_of_equal_rows():
    shown = sweep_tables.as_markdown(SweepReport(1, (row("int8", "pass", 2.0), row("a|b", "fail"))))
    tables = [token for token in MarkdownIt("gfm-like", {"linkify": False}).parse(shown) if token.type == "table_open"]
    assert len(tables) == 2
