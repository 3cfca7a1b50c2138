"""Every page for people names the layers that changed, and report.json keeps them."""

from __future__ import annotations

import dataclasses

import pytest
from formats_data import measured_result, rendered

from hwbench.layers.layer_changes import LayerChange, LayerChanges
from hwbench.results import profile_results
from hwbench.results.profile_results import ProfileResult
from hwbench.stats.intervals import Estimate

CHANGES = LayerChanges(
    rounds=14,
    layers=24,
    before_us=250.0,
    total_us=Estimate(30.5, 28.1, 33.2),
    moved=(LayerChange("conv3", "Conv", 50.0, 80.0, Estimate(30.0, 28.0, 32.0)),),
    conversions={"Cast": 2},
    fallbacks=("resize (CPUExecutionProvider)",),
)


def changed_result() -> ProfileResult:
    return dataclasses.replace(measured_result(), layer_changes=CHANGES)


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_the_layer_its_interval_and_the_conversions_are_shown(form):
    page = " ".join(rendered(form, changed_result).split())
    for words in ("conv3 (Conv)", "(+28 to +32)", "80 us instead of 50 us", "2 more Cast", "24 layers in 14 profiles"):
        assert words in page.replace("\\", "")


def test_report_json_keeps_them():
    (found,) = profile_results.from_json(rendered("json", changed_result), "report").profiles
    assert found.layer_changes == CHANGES
    assert measured_result().layer_changes is None
