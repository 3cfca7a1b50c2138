"""edgewright history and gate --ratchet: commits of changes, the page, and limits that move."""

from __future__ import annotations

import dataclasses
import datetime
import re
import sqlite3

import pytest
from formats_data import HOSTILE, make_latency, measured_result

from hwbench.results import history, profile_results

pytestmark = pytest.mark.usefixtures("one_process")


def add(where, median_ms, run, commit="", model="mobilenet-v2"):
    result = measured_result()
    selected = result.selected
    report = dataclasses.replace(selected.report, latency=make_latency(median_ms, run, runs=40), model=model)
    entry = dataclasses.replace(selected, report=report)
    results = profile_results.of([dataclasses.replace(result, model=model, candidates=(entry,))])
    history.record(where, results, datetime.datetime(2026, 1, 1 + run), commit)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    where = str(tmp_path_factory.mktemp("history") / "runs.sqlite")
    for run in range(10):
        add(where, 10.0 if run < 5 else 12.0, run, f"{run}" * 40)
    add(where, 10.0, 3, model=HOSTILE.replace("\ud800", ""))
    return where


def test_a_change_names_its_commits(cli, course):
    ran = cli("history", course, "--model", "mobilenet-v2", "--quantity", "p50")
    assert ran.code == 0
    (row,) = [row for row in ran.out.splitlines() if ".." in row]
    assert "2026-01-06" in row
    assert "4444444..5555555" in row


def test_the_page_shows_every_series_and_fetches_nothing(cli, course, tmp_path):
    page = tmp_path / "history.html"
    assert cli("history", course, "--quantity", "p50", "--html", page).code == 0
    text = page.read_text("utf-8")
    assert len(re.findall("<svg ", text)) == 2
    assert "commits <code>4444444..5555555</code>" in text
    assert not re.search(r"<script|src=|https?://(?!www\.w3\.org)|\x1b", text)
    assert cli("history", course, "--html", course).code == 2
    assert cli("history", course, "--html", page, "--plot", page).code == 2


def test_a_ratchet_tightens_a_limit_to_what_three_runs_have_shown(cli, built_bundle, tmp_path):
    where = tmp_path / "runs.sqlite"
    asked = ("gate", built_bundle, "--budget", "p50<=10s", "--history", where, "--ratchet", "--inconclusive", "pass")
    quick = ("--duration", "0.05", "--max-time", "10s")
    first = cli(*asked, *quick)
    assert first.code == 0
    assert "The ratchet" not in first.out
    with sqlite3.connect(where) as database:
        columns = ", ".join(row[1] for row in database.execute("PRAGMA table_info(figures)") if row[1] != "id")
        for _ in range(2):
            database.execute(f"INSERT INTO figures ({columns}) SELECT {columns} FROM figures WHERE id <= 30")
    database.close()
    again = " ".join(cli(*asked, *quick).out.split())
    assert "The ratchet made p50<=10s p50<=" in again
    assert cli("gate", built_bundle, "--budget", "p50<=1s", "--ratchet").code == 2
