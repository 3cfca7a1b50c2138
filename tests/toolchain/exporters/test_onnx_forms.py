"""ONNX files as exporters and hubs write them: taken, quantized, or refused in one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper
from variants import normal, parse

from hwbench.data import dataset
from runtimes import npz
from runtimes.errors import UsageError
from runtimes.samples import feeds
from runtimes.tensors import Array
from runtimes.verification.golden import relative_error
from toolchain.exporters import onnx as exporter
from toolchain.models import ort_session
from toolchain.models.onnx_model import OnnxModel, is_quantized, load_ir
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe

CONV = {
    "text": """t ({dtype}[N,3,8,8] x) => ({dtype}[N,32] y) {{
        c = Conv<pads=[1,1,1,1]>(x, w, b) r = Relu(c) p = GlobalAveragePool(r) f = Flatten(p) y = MatMul(f, m)
    }}""",
    "weights": {"w": normal(16, 3, 3, 3, scale=0.3), "b": normal(16), "m": normal(16, 32, scale=0.3)},
    "samples": normal(16, 3, 8, 8),
}
RECIPES = [
    Recipe("int8", "minmax", corrections=("tail", "bias")),
    Recipe("int8-storage"),
    Recipe("fp16", "minmax"),
    Recipe("bf16-storage"),
]


def opened(proto: onnx.ModelProto, folder: Path, samples: dict[str, Array] | None = None) -> OnnxModel:
    onnx.save(proto, folder / "source.onnx")
    return exporter.export(str(folder / "source.onnx"), (), folder / "copy.onnx", samples)


def check_quantized(model: OnnxModel, samples: dict[str, Array], folder: Path, recipes: list[Recipe] = RECIPES) -> None:
    """Every recipe applies, and computes nearly what the source does, under the source's names and dtypes."""
    npz.write(folder / "samples.npz", samples)
    data = dataset.read(folder / "samples.npz", model.inputs)
    feed = next(feeds(model.inputs, samples))
    expected = ort.InferenceSession(model.path).run(None, feed)
    for recipe in recipes:
        made = quantize(model, recipe, data, folder / f"{recipe.precision}.onnx")
        assert [(spec.name, spec.dtype) for spec in made.outputs] == [(s.name, s.dtype) for s in model.outputs]
        assert is_quantized(load_ir(made.path)) == (recipe.precision == "int8")
        for found, wanted in zip(ort_session.exact_session(made.path).run(None, feed), expected):
            assert relative_error(found, wanted) < 0.03


@pytest.mark.parametrize("dtype", ["double", "float16"])
def test_double_and_half_sources_are_quantized_as_float32_ones(tmp_path: Path, dtype: str) -> None:
    wide = np.dtype({"double": "float64"}.get(dtype, dtype))
    weights = {name: array.astype(wide) for name, array in CONV["weights"].items()}
    model = opened(parse(CONV["text"].format(dtype=dtype), weights), tmp_path)
    assert [spec.dtype for spec in (*model.inputs, *model.outputs)] == [wide.name, wide.name]
    check_quantized(model, {"x": CONV["samples"].astype(wide)}, tmp_path)


def test_constants_and_casts_of_a_double_source_become_float32_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """t (double[N,16] x, int64[N] n) => (double[N,16] y) {
        k = Cast<to=11>(n) e = Unsqueeze(k, last) s = Mul(x, e)
        two = Constant<value=double {2.0}>() d = Div(s, two) z = Greater(d, two)
        y = If(p) <then_branch = yes () => (double[N,16] t) { t = MatMul(d, w) },
                   else_branch = no () => (double[N,16] u) { u = Neg(d) }>
    }"""
    proto = parse(text, {"w": normal(16, 16).astype(np.float64), "last": np.array([1]), "p": np.bool_(True)})
    samples = {"x": normal(8, 16).astype(np.float64), "n": np.arange(8)}
    model = opened(proto, tmp_path, samples)
    assert "converted to float32" in capsys.readouterr().err
    exact = ort.InferenceSession(tmp_path / "source.onnx").run(None, samples)[0]
    assert relative_error(ort.InferenceSession(model.path).run(None, samples)[0], exact) < 1e-5


def test_a_double_source_that_needs_its_digits_is_refused(tmp_path: Path) -> None:
    text = "t (double[N,16] x) => (double[N,16] y) { a = Add(x, large) b = Sub(a, large) y = MatMul(b, w) }"
    proto = parse(text, {"w": normal(16, 16).astype(np.float64), "large": np.full(16, 1e9)})
    with pytest.raises(UsageError, match=r"float32 changes its output 'y' by"):
        opened(proto, tmp_path)


@pytest.mark.parametrize("ir_version", [3, 4, 9])
def test_initializers_among_the_inputs_make_no_difference(tmp_path: Path, ir_version: int) -> None:
    weights = {"w": normal(8, 3, 3, 3), **{name: np.ones(8, np.float32) for name in "sbmv"}}
    proto = parse(
        "t (float[N,3,8,8] x) => (float[N,8,6,6] y) { c = Conv(x, w) y = BatchNormalization(c, s, b, m, v) }",
        weights,
        opset=9,
    )
    proto.ir_version = ir_version
    proto.graph.input.extend(helper.make_tensor_value_info(k, 1, v.shape) for k, v in weights.items())
    model = opened(proto, tmp_path)
    assert [spec.name for spec in model.inputs] == ["x"]
    check_quantized(model, {"x": CONV["samples"]}, tmp_path)
    made = load_ir(tmp_path / "int8.onnx")
    assert all(node.op_type != "BatchNormalization" for node in made.graph)


def test_the_default_domain_goes_by_both_of_its_names(tmp_path: Path) -> None:
    proto = parse(CONV["text"].format(dtype="float"), CONV["weights"])
    proto.opset_import[0].domain = "ai.onnx"
    model = opened(proto, tmp_path)
    assert model.opset == 17
    check_quantized(model, {"x": CONV["samples"]}, tmp_path)


def test_sequences_inside_a_model_stay_sequences(tmp_path: Path) -> None:
    text = """t (float[3,4,16] x) => (float[4,16] y, float[4,16] z) {
        h = MatMul(x, w) s = SplitToSequence<axis=0, keepdims=0>(h) i = Identity(s)
        a = SequenceAt(i, one) y = MatMul(a, w)
        e = SequenceEmpty<dtype=1>() n = Constant<value=int64 {3}>() c = Constant<value=bool {1}>()
        t = Loop(n, c, e) <body = b (int64 k, bool go, seq(float) got) => (bool on, seq(float) more) {
            on = Identity(go) g = Gather(h, k) r = MatMul(g, w) more = SequenceInsert(got, r)
        }>
        j = ConcatFromSequence<axis=0, new_axis=1>(t) z = ReduceMean<axes=[0], keepdims=0>(j)
    }"""
    proto = parse(text, {"w": normal(16, 16, scale=0.3), "one": np.int64(1)})
    check_quantized(opened(proto, tmp_path), {"x": normal(30, 4, 16)}, tmp_path)


@pytest.mark.parametrize("dtype", ["float", "double", "float16"])
def test_an_output_may_be_an_input(tmp_path: Path, dtype: str) -> None:
    wide = np.dtype({"double": "float64", "float": "float32"}.get(dtype, dtype))
    text = f"t ({dtype}[N,16] x) => ({dtype}[N,16] y, {dtype}[N,16] x) {{ y = MatMul(x, w) }}"
    model = opened(parse(text, {"w": normal(16, 16).astype(wide)}), tmp_path)
    check_quantized(model, {"x": normal(32, 16).astype(wide)}, tmp_path)


def test_a_double_source_is_compared_at_sizes_that_it_takes(tmp_path: Path) -> None:
    """Whatever sizes its file wrongly declares; one that takes none that are tried is left as it is."""
    text = """t (double[N,4] x) => (double[1,16] y) {
        r = Reshape(x, to) l = Add(r, large) s = Sub(l, large) y = MatMul(s, w)
    }"""
    weights = {"w": normal(4, 16).astype(np.float64), "to": np.array([1, 4])}
    assert opened(parse(text, {**weights, "large": np.zeros(4)}), tmp_path).inputs[0].shape == (1, 4)
    with pytest.raises(UsageError, match=r"float32 changes its output 'y' by"):
        opened(parse(text, {**weights, "large": np.full(4, 1e9)}), tmp_path)
    stuck = {**weights, "large": np.zeros(4), "to": np.array([5, 4])}
    assert opened(parse(text.replace("[1,16]", "[5,16]"), stuck), tmp_path).inputs[0].dtype == "float64"


@pytest.mark.parametrize("name", ["file", "self", "args", "a/b:0", "allow_pickle"])
def test_an_input_may_have_any_name(tmp_path: Path, name: str) -> None:
    node = helper.make_node("MatMul", [name, "w"], ["y"])
    ends = [helper.make_tensor_value_info(end, 1, ["N", 16]) for end in (name, "y")]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [numpy_helper.from_array(normal(16, 16), "w")])
    model = opened(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path)
    check_quantized(model, {name: normal(32, 16)}, tmp_path, RECIPES[:2])


@pytest.mark.parametrize(
    ("signature", "body", "words"),
    [
        (
            "(float[N,4] x) => (string[N] s)",
            "k = ArgMax<axis=1, keepdims=0>(x) s = Gather(names, k)",
            "'s' holds strings",
        ),
        ("(string[N] x) => (string[N] s)", "s = Identity(x)", "input 'x' holds strings"),
        ("(float[3,4] x) => (seq(float) s)", "s = SplitToSequence(x)", "'s' is a sequence"),
        ("(seq(float) x) => (float[3] y)", "y = SequenceAt(x, i)", "input 'x' is a sequence"),
    ],
)
def test_what_is_no_tensor_of_numbers_is_refused_by_name(tmp_path: Path, signature: str, body: str, words: str) -> None:
    proto = parse(f"t {signature} {{ {body} }}", {"i": np.int64(0)})
    proto.graph.initializer.append(helper.make_tensor("names", onnx.TensorProto.STRING, [4], [b"a", b"b", b"c", b"d"]))
    with pytest.raises(UsageError, match=words):
        opened(proto, tmp_path)


def hub(folder: Path, blobs: str = "blobs") -> Path:
    """A model in a hub's cache: links in a snapshot, whose targets are named after their digests."""
    proto = parse(CONV["text"].format(dtype="float"), CONV["weights"])
    (folder / blobs).mkdir(parents=True)
    snapshot = folder / "snapshots" / "revision" / "onnx"
    snapshot.mkdir(parents=True)
    onnx.save(proto, folder / blobs / "m", save_as_external_data=True, location="model.onnx_data", size_threshold=0)
    (folder / blobs / "model.onnx_data").rename(folder / blobs / "d")
    for name, target in (("model.onnx", "m"), ("model.onnx_data", "d")):
        (snapshot / name).symlink_to(os.path.relpath(folder / blobs / target, snapshot))
    return snapshot / "model.onnx"


def test_a_model_in_a_hubs_cache_is_read_through_its_links(tmp_path: Path) -> None:
    model = exporter.export(str(hub(tmp_path / "hub")), (), tmp_path / "copy.onnx")
    check_quantized(model, {"x": CONV["samples"]}, tmp_path)


def test_a_link_to_anywhere_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"keeps weights in 'model.onnx_data', a link to '.*/elsewhere/d'; copy that file"
    ):
        exporter.export(str(hub(tmp_path / "hub", "elsewhere")), (), tmp_path / "copy.onnx")
