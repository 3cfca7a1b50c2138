"""Samples of mixed sizes: in whichever form they come, calibration and accuracy see each sample as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from variants import parse

from hwbench.data import dataset
from runtimes import npz
from runtimes.sample_arrays import stack
from runtimes.tensors import Array
from toolchain.calibration.calibrate import observe_ranges
from toolchain.calibration.sample_factory import as_npz
from toolchain.models.onnx_model import OnnxModel, load_ir, open_model

SIZES = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=2, max_size=6)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    """x float32[N,T,H] -> the sum of all elements, which padding would not change, and their mean, which it would."""
    path = tmp_path_factory.mktemp("model") / "m.onnx"
    text = """t (float[N,T,H] x) => (float[N] sum, float[N] mean) {
        sum = ReduceSum<keepdims=0>(x, axes) mean = ReduceMean<axes=[1,2], keepdims=0>(x)
    }"""
    onnx.save(parse(text, {"axes": np.array([1, 2])}), path)
    return open_model(path)


def padded(folder: Path, samples: list[Array]) -> Path:
    """Write one .npz of padded arrays, and the shape of each sample."""
    npz.write(folder / "padded.npz", {"x": stack(samples)})
    return folder / "padded.npz"


def one_file_each(folder: Path, samples: list[Array]) -> Path:
    """Write a folder of .npz files."""
    (folder / "each").mkdir()
    for index, sample in enumerate(samples):
        np.savez(folder / "each" / f"{index:03}.npz", x=sample)
    return folder / "each"


def factory(folder: Path, samples: list[Array]) -> Path:
    """Write a function that yields samples."""
    one_file_each(folder, samples)
    text = (
        "import numpy, pathlib\ndef samples():\n    for file in sorted(pathlib.Path(__file__).parent.glob('each/*')):\n"
    )
    (folder / "data.py").write_text(f"{text}        yield dict(numpy.load(file))\n")
    return Path(f"{folder / 'data.py'}:samples")


@pytest.mark.parametrize("form", [padded, one_file_each, factory])
@settings(max_examples=20)
@given(sizes=SIZES, seed=st.integers(0, 99))
def test_no_form_lets_padding_in(form, model: OnnxModel, tmp_path_factory, sizes: list[tuple[int, int]], seed: int):
    rng, folder = np.random.default_rng(seed), tmp_path_factory.mktemp("samples")
    samples = [rng.uniform(1, 2, size).astype(np.float32) for size in sizes]
    data = dataset.read(as_npz(form(folder, samples), folder / "out.npz"), model.inputs)
    for sample, feeds in zip(samples, data.feeds(), strict=True):
        np.testing.assert_array_equal(feeds["x"], sample[None])
    assert {name: set(found) for name, found in data.sizes.items()} == {
        "N": {1},
        "T": {size[0] for size in sizes},
        "H": {size[1] for size in sizes},
    }
    found = observe_ranges("minmax", load_ir(model.path), ["x", "sum", "mean"], data).ranges
    for name, values in (
        ("x", np.concatenate([sample.ravel() for sample in samples])),
        ("sum", [sample.sum() for sample in samples]),
        ("mean", [sample.mean() for sample in samples]),
    ):
        np.testing.assert_allclose((found[name].low, found[name].high), (np.min(values), np.max(values)), rtol=1e-5)
