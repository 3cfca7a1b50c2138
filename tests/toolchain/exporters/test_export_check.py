"""The comparison of an export with its source: every column, every output, and other sizes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import numpy_helper, parser

from runtimes.errors import UsageError
from runtimes.sample_arrays import RaggedArray
from runtimes.verification.golden import slice_error
from toolchain.exporters._examples import example_feed
from toolchain.exporters.checks.parity import check_parity
from toolchain.models.onnx_model import OnnxModel, open_model
from toolchain.sources.input_specs import parse_input

X = (parse_input("x=float32[N,6,5]"),)


def onnx_of(path, body: str, outputs: str = "float[N,6,5] y", **constants: np.ndarray) -> OnnxModel:
    """A model of x float32[N,6,5]."""
    text = f'<ir_version: 8, opset_import: ["" : 17]> m (float[N,6,5] x) => ({outputs}) {{ {body} }}'
    model = parser.parse_model(text)
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
    onnx.save(model, path)
    return open_model(path)


def check(model: OnnxModel, call) -> None:
    """Compare with a function of one tensor that returns one or several."""

    def computed(feed):
        result = call(torch.from_numpy(feed["x"]))
        return [tensor.numpy() for tensor in (result if isinstance(result, tuple) else (result,))]

    check_parity(model, computed, X, example_feed(X), "net")


@pytest.mark.parametrize("axis", [1, 2])
def test_small_channels_are_seen_beside_large_ones(tmp_path, axis):
    """Boxes in pixels and a score, on the last axis or the one before."""
    scale = np.full((6, 5) if axis == 1 else (1, 5), 640, np.float32)
    np.moveaxis(scale, axis - 1, 0)[-1] = 0.5
    zeroed = np.where(scale < 1, 0, scale).astype(np.float32)
    check(onnx_of(tmp_path / "good.onnx", "y = Mul(x, s)", s=scale), lambda x: x * torch.from_numpy(scale))
    with pytest.raises(UsageError, match="computes something else: output 'y'"):
        check(onnx_of(tmp_path / "bad.onnx", "y = Mul(x, s)", s=zeroed), lambda x: x * torch.from_numpy(scale))


def test_an_output_that_is_lost_is_said(tmp_path):
    model = onnx_of(tmp_path / "m.onnx", "y = Add(x, x)")
    with pytest.raises(UsageError, match=r"'net' has 1 outputs, .* source .* 2 tensors"):
        check(model, lambda x: (x + x, x))


def test_an_export_that_holds_for_the_examples_sizes_alone_is_refused(tmp_path):
    model = onnx_of(tmp_path / "m.onnx", "y = Reshape(x, to)", "float[A,B] y", to=np.array([2, -1]))
    with pytest.raises(UsageError, match=r"^Given x \[3, 6, 5\], the ONNX export of 'net' computes something else"):
        check(model, lambda x: x.reshape(len(x), -1))
    model = onnx_of(tmp_path / "m.onnx", "y = Reshape(x, to)", "float[A,B] y", to=np.array([2, 30]))
    with pytest.raises(UsageError, match=r"^Given x \[3, 6, 5\], the ONNX export of 'net' fails in ONNX Runtime"):
        check(model, lambda x: x.reshape(len(x), -1))


def test_sizes_that_the_source_does_not_take_are_not_asked_of_its_export(tmp_path):
    model = onnx_of(tmp_path / "m.onnx", "y = Reshape(x, to)", "float[A,B] y", to=np.array([2, 30]))
    check(model, lambda x: x.reshape(2, 30))


SPECS = tuple(map(parse_input, ("image=float32[N,3,H,H]", "tokens=int64[N,L]", "mask=bool[N,L]", "scale=float32[]")))


def shapes(feed) -> dict[str, tuple[int, ...]]:
    return {name: np.shape(array) for name, array in feed.items()}


def test_without_samples_batches_are_of_two_and_other_letters_of_eight():
    assert shapes(example_feed(SPECS)) == {"image": (2, 3, 8, 8), "tokens": (2, 8), "mask": (2, 8), "scale": ()}
    both = example_feed([parse_input("a=float32[N,4]"), parse_input("b=float32[N,4]")])
    assert not np.array_equal(both["a"], both["b"])


def test_samples_bring_values_and_sizes():
    tokens, images = np.arange(100, 160).reshape(5, 12), np.ones((5, 3, 40, 40), np.float32)
    feed = example_feed(SPECS, {"image": images, "tokens": tokens, "other": tokens})
    assert shapes(feed) == {"image": (2, 3, 40, 40), "tokens": (2, 12), "mask": (2, 12), "scale": ()}
    assert np.array_equal(feed["tokens"], tokens[:2])
    assert (feed["image"] == 1).all()


def test_samples_with_an_axis_of_their_own_give_one():
    feed = example_feed([parse_input("x=float32[4,T]")], {"x": np.full((7, 4, 9), 3, np.float32)})
    assert shapes(feed) == {"x": (4, 9)}
    assert (feed["x"] == 3).all()


@pytest.mark.parametrize(
    "array",
    [
        np.full((5, 3, 8, 8), 7.0),
        np.full((5, 3, 8), 7, np.float32),
        np.full((5, 4, 8, 8), 7, np.float32),
        np.full((0, 3, 8, 8), 7, np.float32),
        np.full((5, 3, 8, 8), np.nan, np.float32),
        np.float32(7),
    ],
    ids=["dtype", "rank", "size", "empty", "nan", "scalar"],
)
def test_samples_that_do_not_fit_are_left_to_the_data_reader(array):
    feed = example_feed(SPECS[:1], {"image": np.asarray(array)})
    assert shapes(feed) == {"image": (2, 3, 8, 8)}
    assert not (feed["image"] == 7).any()
    assert np.isfinite(feed["image"]).all()


def test_one_sample_makes_a_batch_of_two():
    feed = example_feed([parse_input("tokens=int64[N,L]")], {"tokens": np.array([[4]])})
    assert feed["tokens"].tolist() == [[4, 4], [4, 4]]


def test_samples_of_mixed_sizes_give_the_first_ones():
    tokens = np.arange(40).reshape(4, 10)
    mixed = RaggedArray(tokens, np.array([[3], [10], [5], [2]]))
    assert example_feed([parse_input("tokens=int64[N,L]")], {"tokens": mixed})["tokens"].tolist() == [[0, 1, 2]] * 2


def test_an_error_of_onnx_runtimes_sigmoid_beside_small_results_is_not_the_exports(tmp_path):
    """Scores of a detector on an empty image are all small."""
    model = onnx_of(tmp_path / "m.onnx", "c = Sub(x, far) y = Sigmoid(c)", far=np.float32(14))
    x = np.random.default_rng(0).uniform(0, 1, (4, 6, 5)).astype(np.float32)
    found = ort.InferenceSession(model.path).run(None, {"x": x})[0]
    assert slice_error(found, 1 / (1 + np.exp(14 - x.astype(np.float64)))) > 1e-3  # else `exact_sigmoid` can go
    check(model, lambda x: torch.sigmoid(x - 14))
    with pytest.raises(UsageError, match=r"computes something else: output 'y' differs by 9\.\de-03"):
        check(model, lambda x: torch.sigmoid(x - 14) * 1.01)
