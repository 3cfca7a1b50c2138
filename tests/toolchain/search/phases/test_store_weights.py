"""Forms that only store the weights smaller: tried where float32 would be selected, and nowhere else."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from search_parts import trial

from hwbench.budgets.budget import parse_all
from toolchain.candidates.candidate import list_candidates
from toolchain.pipeline.build import build
from toolchain.search.phases.store_weights import not_tried, store_weights

pytestmark = pytest.mark.usefixtures("one_process")

STORAGE = ("fp16-storage", "bf16-storage", "int8-storage")


def rows(digits_request, device, *precisions, budget="accuracy_drop<=0.05"):
    asked = {"precisions": precisions, "budgets": parse_all([budget]), "exhaustive": False}
    (found,) = build(digits_request(profiles=(device,), **asked)).profiles
    assert not [caveat for caveat in found.caveats if "could not" in caveat]
    return {entry.precision: entry for entry in found.candidates}, found


def test_where_float32_is_the_fastest_its_smaller_forms_are_tried_and_one_of_them_ships(digits_request, device):
    found, result = rows(digits_request, device, "fp32", *STORAGE)
    tried = [found[precision] for precision in STORAGE if found[precision].screening is not None]
    assert len(tried) == 3
    assert result.selected.precision != "fp32"


def test_where_another_is_faster_they_are_not_even_made():
    """The state has nothing that could make a candidate."""
    int8, fp32 = trial(1, 1), trial(0, 2)
    store_weights(SimpleNamespace(fastest=[int8, fp32], acceptance=SimpleNamespace(may_be_selected=lambda one: True)))


def test_what_is_not_tried_says_why(device):
    stored = next(one for one in list_candidates(device) if one.recipe.precision == "int8-storage")
    assert not_tried(stored).failure.startswith("not tried: it computes in float32, and fp32 (onnxruntime) is not")


def test_a_budget_of_size_makes_them_candidates_from_the_start(digits_request, device):
    found, _ = rows(digits_request, device, "fp32", "int8-storage", budget="size<=1MB")
    assert found["int8-storage"].screening is not None
