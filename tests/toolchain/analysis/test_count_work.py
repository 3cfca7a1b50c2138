"""The work of one inference, on graphs whose figures can be written out, and on networks against torch."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import pytest
import tiny_models
import torch
from onnx import numpy_helper, parser
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import latency_models
from runtimes.bundles.work import Work
from runtimes.errors import UsageError
from runtimes.profile import QuantizationScheme
from toolchain.analysis import executed_nodes
from toolchain.analysis.count_work import computed_in, work_of
from toolchain.graphs.value_range import Range
from toolchain.models.onnx_model import load_ir, open_model, save_ir
from toolchain.models.prepare import prepare
from toolchain.quantizers import int8
from toolchain.quantizers._lstm import integer_lstms
from toolchain.recipes.recipe import Recipe


def model_of(tmp_path, text, **constants):
    model = parser.parse_model(text)
    arrays = {name: np.asarray(array) for name, array in constants.items()}
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    onnx.save(model, tmp_path / "model.onnx")
    return open_model(tmp_path / "model.onnx")


def without_kernels(work):
    return dataclasses.replace(work, kernels=())


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_a_small_network(tmp_path):
    model = open_model(tiny_models.conv(tmp_path / "conv.onnx"))
    work = work_of(model, {"image": normal(2, 3, 8, 8)})
    macs = 2 * 16 * 64 * 27 + 2 * 16 * 5  # two images through 3 x 3 from 3 to 16 channels, then 16 to 5
    assert without_kernels(work) == Work(
        {"fp32": 2 * macs}, {"fp32": 4 * (16 * 27 + 16 + 16 * 5 + 5)}, 4 * (2 * 3 * 64 + 2 * 5)
    )
    assert work.bytes == 4 * (533 + 394)


def test_what_runs_on_integers_counts_as_int8(tmp_path):
    work = work_of(open_model(tiny_models.quantized(tmp_path / "q.onnx")), {"x": normal(3, 4)})
    assert work.operations == {"int8": 2 * 3 * 4 * 3}
    assert work.weight_bytes["int8"] == 12 + 1 + 1  # weights, and the zero points, once for the pair that shares it


def test_the_branch_that_is_taken_is_counted_and_the_other_is_not(tmp_path):
    text = """
    <ir_version: 8, opset_import: ["" : 17]> branches (float[1,4] x) => (float[1,M] y) {
        sum = ReduceSum<keepdims=0>(x)
        positive = Greater(sum, zero)
        y = If (positive) <
            then_branch = yes () => (float[1,P] t) { t = MatMul(x, large) },
            else_branch = no () => (float[1,Q] e) { e = MatMul(x, small) }
        >
    }"""
    model = model_of(tmp_path, text, zero=np.float32(0), large=normal(4, 100), small=normal(4, 2))
    there = work_of(model, {"x": np.ones((1, 4), np.float32)})
    here = work_of(model, {"x": -np.ones((1, 4), np.float32)})
    assert (there.operations, there.weight_bytes) == ({"fp32": 800}, {"fp32": 4 * 401})
    assert (here.operations, here.weight_bytes) == ({"fp32": 16}, {"fp32": 4 * 9})


def test_a_recurrent_layer_counts_in_float_as_on_integers(tmp_path):
    text = """
    <ir_version: 8, opset_import: ["" : 17]> recurrent (float[5,1,32] x) => (float[5,1,1,64] y) {
        y = LSTM<hidden_size=64>(x, w, r)
    }"""
    model = model_of(tmp_path, text, w=normal(1, 256, 32), r=normal(1, 256, 64))
    feeds, operations = {"x": normal(5, 1, 32)}, 2 * 5 * 256 * (32 + 64)
    assert work_of(model, feeds).operations == {"fp32": operations}
    graph = load_ir(model.path)
    assert integer_lstms(graph, QuantizationScheme("uint8", contrib_ops=True), ()) == 1
    assert work_of(save_ir(graph, tmp_path / "int8.onnx"), feeds).operations == {"int8": operations}


def test_every_turn_of_a_loop_is_computed_and_its_weights_are_read_once(tmp_path):
    text = """
    <ir_version: 8, opset_import: ["" : 17]> turns (float[1,8] x) => (float[1,8] y) {
        y = Loop (n, go, x) <body = turn (int64 i, bool on, float[1,8] h) => (bool still, float[1,8] g) {
            still = Identity(on)
            g = MatMul(h, w)
        }>
    }"""
    model = model_of(tmp_path, text, n=np.int64(5), go=np.bool_(True), w=normal(8, 8))
    work = work_of(model, {"x": normal(1, 8)})
    assert work.operations == {"fp32": 5 * 2 * 64}
    assert work.weight_bytes["fp32"] == 256


def test_of_a_table_the_rows_that_are_looked_up_are_read(tmp_path):
    model = open_model(tiny_models.embedding(tmp_path / "words.onnx"))
    feeds = {"tokens": np.zeros((1, 6), np.int64), "mask": np.ones((1, 6), bool)}
    work = work_of(model, feeds)
    assert work.weight_bytes["fp32"] == 4 * (6 * 32 + 32 * 3 + 3)  # of 50 rows, six


def test_weights_that_are_unpacked_once_count_as_they_are_stored(tmp_path):
    text = """
    <ir_version: 8, opset_import: ["" : 17]> stored (float[1,8] x) => (float[1,8] y) {
        w = Cast<to=1>(half)
        v = Transpose(w)
        y = MatMul(x, v)
    }"""
    work = work_of(model_of(tmp_path, text, half=normal(8, 8).astype(np.float16)), {"x": normal(1, 8)})
    assert without_kernels(work) == Work({"fp32": 128}, {"fp16": 128}, 64)


def test_a_runtime_that_computes_float32_in_bf16_has_half_the_weights_to_read():
    work = Work({"fp32": 100, "int8": 50}, {"fp32": 400, "int8": 50}, 16)
    assert computed_in(work, "bf16") == Work({"int8": 50, "bf16": 100}, {"int8": 50, "bf16": 200}, 16)
    assert computed_in(work, "fp32") is work


def test_an_operator_that_cannot_be_counted_is_named(tmp_path):
    text = """
    <ir_version: 8, opset_import: ["" : 17]> sums (float[2,3] x) => (float[2,4] y) {
        e = Einsum<equation="ij,jk->ik">(x, w)
        y = MatMul(e, v)
    }"""
    work = work_of(model_of(tmp_path, text, w=normal(3, 4), v=normal(4, 4)), {"x": normal(2, 3)})
    assert (work.operations, work.uncounted) == ({"fp32": 2 * 2 * 4 * 4}, ("Einsum (1)",))


def test_what_onnx_runtime_cannot_run_is_said_and_not_guessed(tmp_path):
    text = """
    <ir_version: 8, opset_import: ["" : 17]> half (bfloat16[1,8] x) => (bfloat16[1,8] y) { y = MatMul(x, x) }"""
    with pytest.raises(UsageError, match="ONNX Runtime"):
        work_of(model_of(tmp_path, text), {"x": normal(1, 8)})


def test_more_steps_than_the_profiler_records_are_refused_and_not_undercounted(tmp_path, monkeypatch):
    model = open_model(tiny_models.conv(tmp_path / "conv.onnx"))
    monkeypatch.setattr(executed_nodes, "_MAX_EVENTS", 4)  # a million steps would take minutes to read
    with pytest.raises(UsageError, match="more than the 4 steps that ONNX Runtime records"):
        work_of(model, {"image": normal(1, 3, 8, 8)})


# Multiply-accumulates as published: He et al., 2016, table 1; Sandler et al., 2018, table 4.
@pytest.mark.parametrize(("name", "published"), [("resnet18", 1.8e9), ("mobilenetv2", 300e6)])
def test_real_networks_count_as_published_and_as_torch_counts(tmp_path, name, published):
    module, shape = latency_models._MODELS[name]
    network, image = module().eval(), torch.zeros(1, *shape)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    torch.onnx.export(network, (image,), tmp_path / "net.onnx", dynamo=True, input_names=["x"], verbose=False)
    model = open_model(tmp_path / "net.onnx")
    work = work_of(model, {"x": image.numpy()})
    assert work.operations == {"fp32": counter.get_total_flops()}
    assert work.operations["fp32"] / 2 == pytest.approx(published, rel=0.01)


def test_an_int8_file_of_ours_counts_the_same_products(tmp_path):
    source = open_model(tiny_models.conv(tmp_path / "conv.onnx"))
    feeds = {"image": normal(1, 3, 8, 8)}
    graph = prepare(source)
    recipe = Recipe("int8", "minmax", QuantizationScheme("uint8"))
    ranges = {name: Range(-4.0, 4.0) for name in int8.tensors(graph, recipe)}
    made = save_ir(int8.quantize(graph, recipe, ranges), tmp_path / "int8.onnx")
    assert any(node.op_type == "QuantizeLinear" for node in load_ir(made.path).graph)
    assert work_of(made, feeds).operations == {"int8": work_of(source, feeds).operations["fp32"]}
