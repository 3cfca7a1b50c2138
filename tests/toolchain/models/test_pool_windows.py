"""Pools that have no position, which ONNX Runtime computes all the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from variants import parse

from hwbench.data import dataset
from toolchain.candidates.other_sizes import resized_samples
from toolchain.models.onnx_model import load_ir, open_model
from toolchain.models.pool_windows import windows_check

POOL = "AveragePool<kernel_shape=[3,2], strides=[3,2]>(x)"


def written(folder: Path, pool: str) -> Path:
    path = folder / "m.onnx"
    text = f"t (float[N,1,H,W] x) => (float[N,1,A,B] y) {{ p = {pool} y = Relu(p) }}"
    onnx.save(parse(text, {}), path)
    return path


def picture(height: int, width: int = 8) -> dict[str, np.ndarray]:
    return {"x": np.ones((1, 1, height, width), np.float32)}


def test_a_window_that_is_larger_does_not_fit_though_onnx_runtime_computes_a_number(tmp_path: Path) -> None:
    path = written(tmp_path, POOL)
    (seen,) = ort.InferenceSession(path).run(None, picture(1))
    assert seen.shape == (1, 1, 1, 4)
    fits = windows_check(load_ir(path))
    assert [fits(picture(height)) for height in (1, 2, 3, 4)] == [False, False, True, True]


@given(window=st.integers(1, 5), stride=st.integers(1, 6), pad=st.integers(0, 2), size=st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_what_fits_is_what_pytorch_takes(tmp_path_factory, window: int, stride: int, pad: int, size: int) -> None:
    pad = min(pad, window // 2)  # PyTorch takes no more
    attributes = f"kernel_shape=[{window},1], strides=[{stride},1], pads=[{pad},0,{pad},0]"
    path = written(tmp_path_factory.mktemp("pool"), f"MaxPool<{attributes}>(x)")
    try:
        torch.nn.functional.max_pool2d(torch.ones(1, 1, size, 8), (window, 1), (stride, 1), (pad, 0))
        taken = True
    except RuntimeError:
        taken = False
    try:
        fits = windows_check(load_ir(path))(picture(size))
    except Exception as error:  # what ONNX Runtime refuses as well
        pytest.fail(str(error)) if taken else None
    else:
        assert fits == taken


@pytest.mark.parametrize("pool", ["GlobalAveragePool(x)", "MaxPool<kernel_shape=[9,9], auto_pad='SAME_UPPER'>(x)"])
def test_a_pool_that_always_has_a_position_needs_no_check(tmp_path: Path, pool: str) -> None:
    path = written(tmp_path, pool.replace("'", '"'))
    assert windows_check(load_ir(path))(picture(1))


def test_a_candidate_is_not_asked_for_a_size_that_has_no_position(tmp_path: Path) -> None:
    """Of 4 rows, halving leaves 2, for a window of 3: ONNX Runtime computes them, and other runtimes rightly refuse."""
    model = open_model(written(tmp_path, POOL))
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).random((4, 1, 4, 8), np.float32))
    found = resized_samples(model, dataset.read(tmp_path / "x.npz", model.inputs), tmp_path)
    assert found is not None
    heights = {feed["x"].shape[2] for feed in found.data.feeds()}
    assert min(heights) == 4
    assert max(heights) == 8
