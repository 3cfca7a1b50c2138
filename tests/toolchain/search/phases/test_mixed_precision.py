"""The fewest layers to keep in float: how many evaluations it takes, and that a collapsed model comes back."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_parts import trial

from benchmarks import collapsing as benchmark
from hwbench.budgets.budget import parse_all
from toolchain.pipeline.build import build
from toolchain.pipeline.request import BuildRequest
from toolchain.recipes.recipe import Recipe
from toolchain.search.phases import mixed_precision

pytestmark = pytest.mark.usefixtures("one_process")


@given(st.integers(1, 5000), st.data())
def test_the_smallest_prefix_is_found_within_the_bound(count, data):
    needed = data.draw(st.integers(1, count))
    asked = []

    def holds(kept):
        asked.append(kept)
        return kept >= needed

    assert mixed_precision.smallest(count, holds) == needed
    assert len(asked) <= math.ceil(math.log2(count))


def test_every_other_trial_says_why_it_was_rejected():
    ranking = tuple(f"layer_{n}" for n in range(8))
    scores = iter((4, 2, 3))

    def run(candidate):
        assert len(candidate.recipe.keep) == next(scores)
        return dataclasses.replace(trial(1), candidate=candidate)

    found = mixed_precision.fewest_layers(
        trial(1).candidate, ranking, run, lambda one: len(one.candidate.recipe.keep) >= 3
    )
    assert {len(one.candidate.recipe.keep): one.rejected for one in found} == {
        4: "3 layers in float32 are enough to meet the accuracy budget",
        2: "with 2 layers in float32 it was not shown to meet the accuracy budget",
        3: None,
    }
    (kept,) = [one for one in found if one.is_running]
    assert set(kept.candidate.recipe.keep) == {"layer_0", "layer_1", "layer_2"}


def test_layers_that_were_kept_before_count_too():
    low = dataclasses.replace(trial(1).candidate, recipe=Recipe("int8", keep=("slow_0", "slow_1")))
    found = mixed_precision.fewest_layers(
        low, ("a", "b"), lambda one: dataclasses.replace(trial(1), candidate=one), lambda _: False
    )
    assert [one.rejected for one in found] == ["with 3 layers in float32 it was not shown to meet the accuracy budget"]
    assert mixed_precision.fewest_layers(low, ("a",), lambda _: pytest.fail("nothing to try"), lambda _: False) == ()


@pytest.fixture(scope="module")
def collapsing(tmp_path_factory):
    return benchmark.write(tmp_path_factory.mktemp("collapsing"), width=96)


def test_a_model_that_collapses_in_int8_comes_back(collapsing, elsewhere, tmp_path):
    """Its latency is not looked at, so that the test does not depend on this machine's."""
    model, calibration, evaluation = collapsing
    request = BuildRequest(
        *(str(model), "collapsing", tmp_path, (elsewhere,)),
        calibration=calibration,
        evaluation=evaluation,
        precisions=("fp32", "int8"),
        runtimes=("onnxruntime",),
        corrections=("bias",),  # equalisation alone would bring it back, too
        budgets=parse_all(["accuracy_drop<=0.15"]),
    )
    (found,) = build(request).profiles
    source, int8, *mixed_ones = found.candidates
    assert [source.name, int8.name] == ["fp32 (onnxruntime)", "int8 (onnxruntime)"]
    assert source.report.accuracy.value == 1.0
    assert (int8.status, int8.outcome) == ("rejected", "fail")
    assert int8.report.accuracy.drop().value > 0.3
    assert all(entry.recipe["keep"] for entry in mixed_ones)
    (back,) = [entry for entry in mixed_ones if entry.status != "rejected"]
    assert back.outcome == "pass"
    assert back.status == "selected"  # it is smaller than float32, and latency is not measured here
    assert back.layers["int8"] > back.layers["fp32"] > 0
    assert 1 + len(mixed_ones) <= 2 + math.log2(benchmark.LAYERS)  # int8 itself was evaluated, too
    assert found.search.looks == 2 + len(mixed_ones)
