"""The order in which candidates are made and measured."""

from __future__ import annotations

from toolchain.candidates.candidate import list_candidates
from toolchain.candidates.expected_gain import by_gain, by_gain_per_cost


def test_storage_forms_come_last_and_what_takes_samples_after_what_takes_none(device):
    listed = [one for one in list_candidates(device) if one.refusal is None]
    source = next(one for one in listed if one.recipe.precision == "fp32" and one.runtime == "onnxruntime")
    found = by_gain_per_cost(listed, lambda one: one == source)
    assert found[0] == source
    storage = [one.recipe.precision.endswith("-storage") and one.recipe.keep_in == "fp32" for one in found]
    assert storage == sorted(storage)
    assert any(storage)
    calibrated = [one.recipe.calibration is not None for one, stores in zip(found, storage) if not stores]
    assert calibrated == sorted(calibrated)


def test_int8_is_measured_before_float_and_float_before_storage(device):
    listed = [one for one in list_candidates(device, runtimes=["onnxruntime"]) if one.refusal is None]
    source = next(one for one in listed if one.recipe.precision == "fp32")
    first, second, *rest = by_gain(listed, lambda one: one == source)
    assert (first, second.recipe.precision) == (source, "int8")
    assert [one.recipe.precision.endswith("-storage") for one in rest] == sorted(
        one.recipe.precision.endswith("-storage") for one in rest
    )
