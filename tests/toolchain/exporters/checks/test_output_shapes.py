"""Outputs' declared shapes, compared with those that are seen at several sizes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import parser

from runtimes.errors import UsageError
from runtimes.tensors import check_feeds, check_outputs
from toolchain.exporters import onnx as onnx_exporter
from toolchain.models.onnx_model import open_model
from toolchain.sources.input_specs import parse_input


def save(path, inputs: str, outputs: str, body: str):
    text = f'<ir_version: 8, opset_import: ["" : 17]> m ({inputs}) => ({outputs}) {{ {body} }}'
    onnx.save(parser.parse_model(text), path)
    return path


SIZES = st.sampled_from(["N", "T", "K", 2, 3])


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.lists(SIZES, min_size=1, max_size=3),
    declared=st.lists(st.sampled_from(["N", "T", "K", "other", 2, 3, 8]), min_size=1, max_size=3),
    order=st.randoms(),
)
def test_whatever_a_file_declares_its_model_is_declared_to_return_what_it_returns(tmp_path, shape, declared, order):
    """A transposed and doubled input: sizes that follow an input's dimension, that are fixed, and that do neither."""
    axes = list(range(len(shape)))
    order.shuffle(axes)
    path = save(
        tmp_path / "m.onnx",
        f"float[{','.join(map(str, shape))}] x",
        f"float[{','.join(map(str, declared))}] y, float z",
        f"y = Transpose<perm=[{','.join(map(str, axes))}]>(x) z = Concat<axis=0>(y, y)",
    )
    try:
        ort.InferenceSession(path)
    except Exception:  # ONNX Runtime refuses some of the false declarations itself
        return
    model = onnx_exporter.export(str(path), (), tmp_path / "out.onnx")
    session = ort.InferenceSession(model.path)
    for every in ({"N": 2, "T": 5, "K": 7}, {"N": 4, "T": 3, "K": 6}):
        sizes = {name: every[name] for name in shape if isinstance(name, str)}
        array = np.zeros([sizes.get(size, size) for size in shape], np.float32)
        outputs = session.run(None, {"x": array})
        for spec, output in zip(model.outputs, outputs):
            assert len(spec.shape) == output.ndim
            for size, found in zip(spec.shape, output.shape):
                assert sizes.get(size, found) == found, (spec, output.shape)
                assert isinstance(size, str) or size == found, (spec, output.shape)


@pytest.mark.parametrize(
    ("inputs", "output", "body"),
    [
        ("float[N,T] x", "float[N,T] y", "y = Relu(x)"),
        ("float[N,T] x", "float[batch,length] y", "y = Relu(x)"),
        ("float[N,4] x", "float[N,8] y", "y = Concat<axis=1>(x, x)"),
        ("float[2,4] x", "float[2,4] y", "y = Relu(x)"),
        ("float[N,T] x", "int64[2,found] y", "y = NonZero(x)"),
    ],
)
def test_a_file_that_declares_nothing_wrong_stays_as_it_is(tmp_path, inputs, output, body):
    path = save(tmp_path / "m.onnx", inputs, output, body)
    model = onnx_exporter.export(str(path), (), tmp_path / "out.onnx")
    assert model == open_model(path)
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(
    ("output", "corrected", "body"),
    [
        ("float[N,48] y", ("N", "T"), "y = Relu(x)"),
        ("float[8,T] y", ("N", "T"), "y = Relu(x)"),
        ("float[N,T] y", ("N", "y_1"), "y = Concat<axis=1>(x, x)"),
        ("float[N,16] y", ("N", "y_1"), "y = Concat<axis=1>(x, x)"),
        ("float[K] y", ("N", "T"), "y = Relu(x)"),
    ],
)
def test_a_wrong_output_is_corrected_in_the_file_and_in_the_model(tmp_path, output, corrected, body):
    path = save(tmp_path / "m.onnx", "float[N,T] x", output, body)
    model = onnx_exporter.export(str(path), (), tmp_path / "out.onnx")
    assert model.outputs[0].shape == corrected == open_model(tmp_path / "out.onnx").outputs[0].shape
    assert model.source_sha256 == open_model(path).sha256


@pytest.mark.parametrize("body", ["to = Constant<value_ints=[1, 24]>() y = Reshape(x, to)"])
def test_a_batch_that_a_file_takes_one_size_of_is_declared_so(tmp_path, body):
    path = save(tmp_path / "m.onnx", "float[N,4,6] x", "float[N,24] y", body)
    model = onnx_exporter.export(str(path), (), tmp_path / "out.onnx")
    assert (model.inputs[0].shape, model.outputs[0].shape) == ((1, 4, 6), (1, 24))
    assert model.source_sha256 == open_model(path).sha256
    check_feeds(model.inputs, {"x": np.zeros((1, 4, 6), np.float32)})


def test_a_declaration_that_a_file_does_not_keep_is_refused(tmp_path):
    body = "to = Constant<value_ints=[0, 96]>() y = Reshape(x, to)"
    path = save(tmp_path / "m.onnx", "float[N,12,8] x", "float[N,96] y", body)
    specs = (parse_input("x=float32[N,T,8]"),)
    with pytest.raises(UsageError, match=r"only 12 for dimension 'T' of input 'x'.*--input 'x=float32\[N,12,8\]'"):
        onnx_exporter.export(str(path), specs, tmp_path / "out.onnx")


@pytest.mark.parametrize(
    ("inputs", "body"),
    [
        ("float[N,1] new, float[N,P] past, float[N,S] mask", "both = Concat<axis=1>(past, new) y = Mul(both, mask)"),
        ("float[N,P] past, float[N,S] mask", "both = Concat<axis=1>(past, past) y = Mul(both, mask)"),
    ],
    ids=["S=P+1", "S=2P"],
)
def test_dimensions_that_change_together_are_not_fixed(tmp_path, inputs, body):
    path = save(tmp_path / "m.onnx", inputs, "float[N,S] y", body)
    length = 9 if "new" in inputs else 16
    samples = {"past": np.ones((3, 8), np.float32), "mask": np.ones((3, length), np.float32)}
    model = onnx_exporter.export(str(path), (), tmp_path / "out.onnx", samples)
    assert model == open_model(path)


def test_sizes_of_one_name_that_differ_between_outputs_get_names_of_their_own(tmp_path):
    """Names of dimensions that two outputs share, or two axes of one."""
    path = save(
        tmp_path / "m.onnx",
        "float[N] x",
        "int64[1,M] a, int64[1,M] b, int64[M,M] c",
        """zero = Constant<value=float {0}>() p = Greater(x, zero) a = NonZero(p) q = Not(p) b = NonZero(q)
        column = Constant<value_ints=[-1, 1]>() k = Reshape(a, column) c = Add(k, b)""",
    )
    samples = {"x": np.array([1, 1, 1, -1, -1], np.float32)}
    model = onnx_exporter.export(str(path), (parse_input("x=float32[N]"),), tmp_path / "out.onnx", samples)
    assert [spec.shape for spec in model.outputs] == [(1, "M"), (1, "b_1"), ("M", "c_1")]
    for values in ([1, 1, -1], [1, -1, -1, -1]):
        feeds = {"x": np.array(values, np.float32)}
        arrays = ort.InferenceSession(model.path).run(None, feeds)
        outputs = {spec.name: array for spec, array in zip(model.outputs, arrays)}
        check_outputs(model.outputs, outputs, check_feeds(model.inputs, feeds))
