"""Requests that cannot be met cost nothing; those met in part are built and say what is missing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tiny_models

from hwbench.budgets.budget import parse_all
from runtimes.errors import UsageError
from toolchain.pipeline.build import build

pytestmark = pytest.mark.usefixtures("one_process")


@pytest.fixture
def half_known(elsewhere):
    """A device one of whose runtimes nothing is built for."""
    tables = {"precisions": {"onnxruntime": ("fp32",), "openvx": ("fp32",)}, "quantization": {}, "options": {}}
    return dataclasses.replace(elsewhere, runtimes=("onnxruntime", "openvx"), **tables)


def test_a_runtime_that_was_not_tried_is_a_caveat(digits_request, half_known):
    asked = {"profiles": (half_known,), "budgets": parse_all(["accuracy>=0.5"])}
    (found,) = build(digits_request(**asked, runtimes=())).profiles
    assert found.outcome == "pass"
    caveat = "openvx was not tried: This release of edgewright does not build for openvx."
    assert caveat in found.caveats
    assert caveat not in build(digits_request(**asked)).profiles[0].caveats  # nobody asked for it


def test_one_profile_for_which_nothing_can_be_tried_is_enough(digits_request, elsewhere, half_known):
    with pytest.raises(UsageError, match=f"nothing to try for {half_known.name}: This release .* not build for openvx"):
        build(digits_request(profiles=(half_known,), runtimes=("openvx",)))


def test_a_source_that_is_int8_already_needs_no_samples_for_it(request_for, tmp_path):
    path = tiny_models.quantized(tmp_path / "net.onnx")
    np.savez(tmp_path / "e.npz", **tiny_models.samples("quantized", 12))
    asked = {"evaluation": tmp_path / "e.npz", "budgets": parse_all(["accuracy>=0.1"])}
    (found,) = build(request_for(path, precisions=("int8",), **asked)).profiles
    assert (found.selected.precision, found.selected.report.accuracy.is_source) == ("int8", True)


def test_a_table_does_for_int8_only_without_corrections(request_for, tmp_path):
    table = tmp_path / "t.json"
    table.write_text('{"method": "minmax", "samples": 1, "ranges": {}}')
    path = tiny_models.conv(tmp_path / "net.onnx")
    request = request_for(path, precisions=("int8",), calibration_table=table)
    with pytest.raises(UsageError, match=r"correction bias needs samples too; give --calibration .* --correction none"):
        build(request)
    with pytest.raises(UsageError, match="has no range for the tensor"):  # so it was looked at
        build(dataclasses.replace(request, corrections=()))


def test_sizes_of_an_engine_where_none_is_built_are_a_caveat(digits_request, elsewhere):
    asked = {"profiles": (elsewhere,), "budgets": parse_all(["accuracy>=0.5"])}
    (found,) = build(digits_request(**asked, ranges=({"N": (1, 2, 4)},))).profiles
    caveat = f"--range was not used: it gives sizes for engines, and no engine is built for {elsewhere.name}."
    assert caveat in found.caveats
