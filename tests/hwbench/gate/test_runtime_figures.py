"""Budgets on the placement of nodes and on instructions, judged by what the runtime and the processor tell."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hwbench.budgets.budget import parse, parse_all
from hwbench.gate import runtime_figures
from hwbench.gate.disagreement import of_instructions_and_time
from hwbench.gate.gate import GatePlan, gate_bundle
from hwbench.machine.instruction_counters import Counting
from hwbench.targets.local import LocalTarget
from runtimes.errors import UsageError
from runtimes.profilers import PlacedNode, Placement, Profile


@pytest.fixture
def path(pack_linear, tmp_path) -> Path:
    return pack_linear(tmp_path / "new.edge")


class TellingTarget:
    """The linear model's stand-in, which tells a placement and counts instructions."""

    def __init__(self, fake_target, placement: Placement | None, counts: list[int]) -> None:
        self.run, self.sample, self.machine = fake_target.run, fake_target.sample, fake_target.machine
        self.placement, self.counts = placement, counts

    def profile(self, bundle: Path, inputs: Path) -> Profile:
        return Profile((), self.placement)

    def count_instructions(self, bundle: Path, inputs: Path, counting: Counting) -> tuple[int, ...]:
        return (self.counts.pop(0),)


def gate(target, candidate, baseline, *texts):
    return gate_bundle(candidate, baseline, parse_all(texts), target, GatePlan(seed=0), lambda word: None)


def test_a_fallback_fails_and_is_named(fake_target, path):
    elsewhere = (PlacedNode("resize_1", "Resize", "CPUExecutionProvider"),)
    gated = gate(TellingTarget(fake_target, Placement(10, elsewhere), []), path, None, "placement>=95%")
    (verdict,) = gated.verdicts
    assert verdict.outcome == "fail"
    assert "placement 90.0% is below 95.0%" in verdict.reason
    assert "resize_1 (Resize, CPUExecutionProvider)" in verdict.reason
    assert gated.candidate.estimate("placement").value == pytest.approx(0.9)


@pytest.mark.usefixtures("one_process")
def test_onnxruntime_tells_where_its_nodes_run(path):
    (verdict,) = gate(LocalTarget(), path, None, "placement>=95%").verdicts
    assert verdict.outcome == "pass"
    assert verdict.measured.value == 1


def test_a_runtime_that_does_not_tell_is_refused(fake_target, path):
    with pytest.raises(UsageError, match="this version of onnxruntime does not tell where its nodes run"):
        gate(TellingTarget(fake_target, None, []), path, None, "placement>=95%")
    with pytest.raises(UsageError, match="counted on this machine alone"):
        gate(fake_target, path, None, "instructions<=5M")


def test_instructions_are_compared_with_the_baselines(fake_target, path, monkeypatch):
    monkeypatch.setattr(runtime_figures, "find_counting", lambda: Counting("valgrind 3.19.0"))
    target = TellingTarget(fake_target, None, [1_030_000, 1_030_010, 1_000_000, 1_000_010])
    gated = gate(target, path, path, "instructions<=+1%", "instructions<=2M")
    assert [verdict.outcome for verdict in gated.verdicts] == ["fail", "pass"]
    assert gated.verdicts[0].measured.value == pytest.approx(0.03, abs=1e-4)
    assert gated.candidate.instructions.by == "valgrind 3.19.0"


@pytest.mark.parametrize(("work", "time", "words"), [("pass", "fail", "take longer"), ("fail", "pass", "hides")])
def test_instructions_and_time_that_disagree_are_told(work, time, words, fake_target, path, monkeypatch):
    monkeypatch.setattr(runtime_figures, "find_counting", lambda: Counting("valgrind 3.19.0"))
    target = TellingTarget(fake_target, None, [1_000_000] * 4)
    (verdict,) = gate(target, path, path, "instructions<=+1%").verdicts
    of_work = dataclasses.replace(verdict, outcome=work)
    of_time = dataclasses.replace(verdict, outcome=time, budget=parse("p90<=+5%"))
    (said,) = of_instructions_and_time([of_work, of_time], "valgrind 3.19.0")
    assert words in said
    assert "no AVX-512" in said
    assert of_instructions_and_time([of_work, dataclasses.replace(of_time, outcome=work)], "perf") == ()


@pytest.mark.parametrize("text", ["placement>=95", "placement>=+5%", "placement>=-5%", "placement>=101%"])
def test_a_placement_that_is_no_share_is_refused(text):
    with pytest.raises(UsageError, match="share of the nodes"):
        parse(text)


def test_shares_and_counts_are_read():
    assert parse("placement>=95%").limit == pytest.approx(0.95)
    assert parse("placement>=0.95").limit == pytest.approx(0.95)
    assert parse("instructions<=5M").limit == 5e6
    assert parse("instructions<=+1%").relative
