"""Cells and their keys: what makes an earlier result another one's."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from runtimes.errors import UsageError
from toolchain.sweep.cells import key_of, list_cells


def test_there_is_a_cell_for_each_device_and_precision(request_of, here):
    other = dataclasses.replace(here, name="other")
    cells = list_cells([request_of(profiles=(here, other)), request_of(name="second", precisions=())])
    assert [cell.name for cell in cells] == [
        *(f"tiny-{name}-{precision}" for name in (here.name, "other") for precision in ("fp32", "fp16")),
        f"second-{here.name}-any",
    ]
    assert all(cell.request.precisions == ((cell.precision,) if cell.precision else ()) for cell in cells)
    assert all(cell.request.profiles == (cell.profile,) for cell in cells)


def test_two_models_of_one_name_are_refused(request_of):
    with pytest.raises(UsageError, match=r"There are two of tiny for .*, fp32; give each model a name of its own"):
        list_cells([request_of(), request_of()])


def test_a_key_is_of_all_that_a_result_depends_on_and_of_nothing_else(request_of, tmp_path):
    samples, metric = tmp_path / "samples.npz", tmp_path / "metric.py"
    np.savez(samples, image=np.zeros((2, 3, 8, 8), np.float32))
    metric.write_text("def score(outputs, labels): return 1.0")
    asked = {"calibration": samples, "metrics": (f"{metric}:score",)}
    (first, second) = list_cells([request_of(**asked)])
    key = key_of(first)
    assert key != key_of(second)
    assert key != key_of(first, on_rack=True)
    (moved, _) = list_cells([request_of(**asked, out=tmp_path / "elsewhere", fresh=True, cache=tmp_path)])
    assert key == key_of(moved)
    (other, _) = list_cells([request_of(**asked, confidence=0.9)])
    assert key != key_of(other)
    metric.write_text("def score(outputs, labels): return 0.0")
    changed = key_of(first)
    assert changed != key
    np.savez(samples, image=np.ones((2, 3, 8, 8), np.float32))
    assert key_of(first) not in (key, changed)
