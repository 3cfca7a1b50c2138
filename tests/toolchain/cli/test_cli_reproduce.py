"""edgewright reproduce: a published figure, run again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("one_process")


@pytest.fixture
def published(cli, built_bundle, tmp_path) -> Path:
    report = tmp_path / "published.json"
    ran = cli("gate", built_bundle, "--budget", "p90<=10s", "--duration", "0.05", "--output", f"json={report}")
    assert ran.code == 0, ran.err
    return report


def scaled(report: Path, factor: float) -> Path:
    """The same report with every latency multiplied."""
    data = json.loads(report.read_text())
    for block in data["profiles"][0]["candidates"][0]["report"]["latency"]["blocks"]:
        block["samples_ns"] = [max(1, round(factor * time)) for time in block["samples_ns"]]
    report.write_text(json.dumps(data))
    return report


@pytest.mark.parametrize(("factor", "code"), [(100.0, 0), (0.001, 1)])
def test_a_figure_holds_or_does_not(cli, built_bundle, published, factor, code):
    ran = cli("reproduce", scaled(published, factor), "--bundle", built_bundle, "--max-time", "20s")
    assert ran.code == code, ran.out + ran.err


def test_the_report_has_to_be_of_the_bundle(refuses, published, built_bundle, tmp_path):
    data = json.loads(published.read_text())
    data["profiles"][0]["bundle_sha256"] = "0" * 64
    other = tmp_path / "other.json"
    other.write_text(json.dumps(data))
    refuses("reproduce", other, "--bundle", built_bundle, words=("other.json", "another bundle"))
    refuses("reproduce", published, words=("--bundle",))
    refuses("reproduce", published, "--bundle", built_bundle, "--quantity", "p42", words=("p42",))


def test_a_builds_own_report_names_its_bundle(cli, built):
    ran = cli("reproduce", built / "report.json", "--tolerance", "1000", "--max-time", "10s")
    assert ran.code in (0, 1, 3), ran.err
