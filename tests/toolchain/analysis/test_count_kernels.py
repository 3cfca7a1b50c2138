"""Kernels after fusion, on graphs whose figures can be written out."""

from __future__ import annotations

import numpy as np
import onnx
import tiny_models
from onnx import numpy_helper, parser

from runtimes.bundles.work import KernelWork
from toolchain.analysis.count_kernels import count_kernels
from toolchain.analysis.count_work import computed_in, work_of
from toolchain.models.onnx_model import load_ir, open_model


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def kernels_of(tmp_path, text, feeds, **constants):
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> net {text}')
    arrays = {name: np.asarray(array) for name, array in constants.items()}
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    onnx.save(model, tmp_path / "model.onnx")
    return count_kernels(load_ir(tmp_path / "model.onnx"), feeds)


def test_an_activation_is_part_of_the_convolution_before_it(tmp_path):
    text = "(float[1,4,8,8] x) => (float[1,8,8,8] z) { y = Conv<pads=[1,1,1,1]>(x, w)\n z = Relu(y) }"
    found = kernels_of(tmp_path, text, {"x": normal(1, 4, 8, 8)}, w=normal(8, 4, 3, 3))
    size = 4 * (4 * 64 + 8 * 4 * 9 + 8 * 64)
    assert found == (KernelWork("convolution", "fp32", 2 * 8 * 64 * 36, size, 1),)


def test_a_depthwise_convolution_is_a_class_of_its_own(tmp_path):
    text = "(float[1,8,8,8] x) => (float[1,8,8,8] y) { y = Conv<pads=[1,1,1,1], group=8>(x, w) }"
    (found,) = kernels_of(tmp_path, text, {"x": normal(1, 8, 8, 8)}, w=normal(8, 1, 3, 3))
    assert (found.kind, found.operations) == ("depthwise convolution", 2 * 8 * 64 * 9)


def test_each_step_of_a_recurrent_layer_reads_all_weights(tmp_path):
    text = "(float[5,1,32] x) => (float[5,1,1,64] y) { y = LSTM<hidden_size=64>(x, w, r) }"
    feeds = {"x": normal(5, 1, 32)}
    (found,) = kernels_of(tmp_path, text, feeds, w=normal(1, 256, 32), r=normal(1, 256, 64))
    assert (found.kind, found.count, found.operations) == ("recurrent", 5, 2 * 256 * 96)
    assert found.bytes > 4 * 256 * 96


def test_a_lookup_reads_what_it_writes_and_a_view_nothing(tmp_path):
    text = """(int64[3] i) => (float[12] y) { t = Gather(table, i)
        y = Reshape(t, shape) }"""
    feeds = {"i": np.arange(3)}
    found = kernels_of(tmp_path, text, feeds, table=normal(1000, 4), shape=np.array([12]))
    assert [(one.kind, one.bytes) for one in found] == [("movement", 0), ("movement", 2 * 4 * 12)]


def test_integer_products_and_conversions_are_told_apart(tmp_path):
    model = open_model(tiny_models.quantized(tmp_path / "q.onnx"))
    found = work_of(model, {"x": normal(3, 4)}).kernels
    products = [one for one in found if one.operations]
    assert [(one.kind, one.precision) for one in products] == [("matrix product", "int8")]
    assert "conversion" in {one.kind for one in found}


def test_kernels_follow_the_precision_that_a_runtime_computes_in(tmp_path):
    work = work_of(open_model(tiny_models.conv(tmp_path / "conv.onnx")), {"image": normal(2, 3, 8, 8)})
    assert sum(one.count * one.operations for one in work.kernels) == work.operations["fp32"]
    products = [one for one in computed_in(work, "bf16").kernels if one.operations]
    assert {one.precision for one in products} == {"bf16"}


def test_products_that_cannot_be_counted_leave_no_kernels(tmp_path):
    text = '(float[4,4] x) => (float[4,4] y) { y = Einsum<equation="ij,jk->ik">(x, x) }'
    assert kernels_of(tmp_path, text, {"x": normal(4, 4)}) == ()
