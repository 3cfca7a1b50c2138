"""The documents name what the code has."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from hwbench.budgets.budget import Budget
from hwbench.budgets.verdicts import Verdict
from hwbench.machine.gpu_timing import GpuState, GpuTimes
from hwbench.machine.identity import Machine
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.latency import Latency, Load
from hwbench.measurements.memory_bandwidth import Bandwidth
from hwbench.measurements.peaks import Peaks
from hwbench.measurements.report import Report
from hwbench.results.profile_results import CandidateResult, ProfileResult, Results, Screening, Search
from runtimes.bundles.manifest import Artifact
from runtimes.bundles.work import Work
from runtimes.sampling.closed_loop import Block
from runtimes.sampling.system_conditions import Conditions

ROOT = Path(__file__).parent.parent
TYPES = (
    *(Results, ProfileResult, CandidateResult, Screening, Search, Verdict, Budget),
    *(
        Report,
        Artifact,
        Work,
        Machine,
        Peaks,
        Bandwidth,
        Latency,
        Load,
        Block,
        Conditions,
        Accuracy,
        GpuTimes,
        GpuState,
    ),
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
