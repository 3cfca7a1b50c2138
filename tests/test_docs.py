"""The documents name what the code has."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from hwbench.accuracy import Accuracy
from hwbench.bandwidth import Bandwidth
from hwbench.budget import Budget
from hwbench.ceilings import Ceilings
from hwbench.field import Entry, Field, Results, Screening, Search
from hwbench.gate import Verdict
from hwbench.latency import Latency, Load
from hwbench.machine import Machine
from hwbench.report import Report
from runtimes.artifact import Artifact
from runtimes.conditions import Conditions
from runtimes.sampling import Block
from runtimes.work import Work

ROOT = Path(__file__).parent.parent
TYPES = (
    *(Results, Field, Entry, Screening, Search, Verdict, Budget),
    *(Report, Artifact, Work, Machine, Ceilings, Bandwidth, Latency, Load, Block, Conditions, Accuracy),
)


@pytest.mark.parametrize("cls", TYPES, ids=lambda cls: cls.__name__)
def test_the_schema_of_report_json_is_documented(cls: type) -> None:
    named = set(re.findall(r"`(\w+)`", (ROOT / "docs/report.md").read_text()))
    assert {field.name for field in dataclasses.fields(cls)} <= named


@pytest.mark.parametrize(
    "document",
    ["README.md", "CONTRIBUTING.md"] + [f"docs/{name}.md" for name in ("architecture", "report", "limits", "tensorrt")],
)
def test_links_and_pictures_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text()):
        assert (path.parent / target).is_file(), f"{document} links to {target}"
