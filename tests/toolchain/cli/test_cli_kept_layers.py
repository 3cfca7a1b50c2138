"""A bundle that keeps layers in float: what inspect, measure and gate call it."""

from __future__ import annotations

import dataclasses
import json

import pytest

from hwbench.results import profile_results
from hwbench.results.profile_results import CandidateResult, ProfileResult
from toolchain.packaging.pack import pack

NAME = "fp32, 1 layer in fp32 (onnxruntime), set b18f"
QUICK = ("--duration", "0.05")

pytestmark = pytest.mark.usefixtures("one_process")


@pytest.fixture
def packed(contents, device, tmp_path):
    """A function that packs it, as `build` would with the name that it gave it, or without a report."""

    def make(name):
        entries = (CandidateResult(name, "fp32", "onnxruntime", "selected", ""),) if name else ()
        report = (
            profile_results.to_json(profile_results.of([ProfileResult("tiny", device.name, (), entries)]))
            if name
            else None
        )
        recipe = dataclasses.replace(contents.recipe, keep=("conv",))
        pack(dataclasses.replace(contents, profile=device, recipe=recipe, report=report), tmp_path / "kept.edge")
        return tmp_path / "kept.edge"

    return make


def test_inspect_names_the_layers(cli, packed):
    assert "\nlayers: 1 kept in fp32: conv\n" in cli("inspect", packed(NAME)).out
    assert json.loads(cli("inspect", packed(NAME), "--format", "json").out)["recipe"]["keep"] == ["conv"]


def test_inspect_of_what_keeps_none_says_nothing_of_it(cli, built_bundle):
    assert "layers:" not in cli("inspect", built_bundle).out


@pytest.mark.parametrize("command", ["measure", "gate"])
def test_it_has_the_name_that_build_gave_it(cli, packed, command):
    asked = ("--budget", "p50<=1s", *QUICK) if command == "gate" else QUICK
    ran = cli(command, packed(NAME), *asked)
    assert ran.code == 0
    assert ran.out.splitlines()[1].split(maxsplit=1)[1].startswith(f"{NAME}: ")


def test_without_a_report_it_is_described_by_its_manifest(cli, packed):
    ran = cli("measure", packed(None), *QUICK)
    assert ran.out.splitlines()[1].split(maxsplit=1)[1].startswith("fp32, 1 layer in fp32 (onnxruntime): ")


def test_a_report_keeps_the_name(cli, packed, tmp_path):
    assert cli("measure", packed(NAME), *QUICK, "--out", tmp_path / "r.json").code == 0
    ran = cli("gate", tmp_path / "r.json", "--baseline", tmp_path / "r.json", "--budget", "size<=+1%")
    assert ran.code == 0
    assert f"{NAME} (candidate)" in ran.out
    assert f"{NAME} (baseline)" in ran.out
