"""Reasons why int8 did not pay, from a profile, and the layers that go back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from search_parts import trial

from hwbench.data import dataset
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from runtimes import plugins, samples
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import NotInstalledError
from runtimes.profilers import NodeTime
from toolchain.builders import onnxruntime as builder
from toolchain.models.onnx_model import open_model
from toolchain.packaging.pack import Contents, pack
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe
from toolchain.search.slow_layers import explain, remark, slower_in_int8

pytestmark = pytest.mark.usefixtures("one_process")


def times(*items):
    return [NodeTime(*item) for item in items]


def test_the_sentence_names_the_conversions_and_what_stayed_in_float():
    int8 = times(
        ("a.quantize", "QuantizeLinear", "conversion", 30),
        ("conv_1", "QLinearConv", "integer product", 60),
        *((f"lstm_{n}", "LSTM", "float product", 2) for n in range(5)),
    )
    assert explain(int8, 1.4, "fp32 (onnxruntime)") == (
        "int8 is 1.4x slower than fp32 (onnxruntime); 30% of its time is in 1 Quantize, Dequantize or Cast "
        "kernel, and 5 products stayed in float: lstm_0, lstm_1, lstm_2, lstm_3 and 1 more"
    )


def test_without_conversions_or_float_products_the_kernels_are_to_blame():
    int8 = times(("conv_1", "QLinearConv", "integer product", 60))
    assert explain(int8, 1.2, "fp32 (null)") == (
        "int8 is 1.2x slower than fp32 (null); its integer kernels are no faster here"
    )


def test_conversions_that_take_next_to_nothing_are_no_cause():
    int8 = times(("q", "QuantizeLinear", "conversion", 1), ("conv_1", "QLinearConv", "integer product", 99))
    assert explain(int8, 1.2, "fp32 (null)").endswith("; its integer kernels are no faster here")


def test_layers_whose_integer_kernel_is_slower_go_back():
    int8 = times(
        ("conv_1_token_7", "QLinearConv", "integer product", 50),
        ("q", "QuantizeLinear", "conversion", 9),
        ("conv_10/WithoutBiases", "Convolution", "integer product", 50),
        ("fc", "Gemm", "float product", 90),
    )
    floats = times(
        ("anything", "FusedConv", "float product", 40),
        ("else", "FusedConv", "float product", 60),
        ("fc", "Gemm", "float product", 10),
    )
    assert slower_in_int8(int8, floats, ["conv_1", "conv_10", "fc"]) == ("conv_1",)
    assert slower_in_int8(int8, floats[1:], ["conv_1", "conv_10", "fc"]) == ()  # no pairs, no claim


def test_layers_that_would_save_too_little_to_tell_stay():
    rest = ("rest", "QLinearConv", "integer product", 900)
    ours = [*(times((f"c{n}", "QLinearConv", "integer product", 10))[0] for n in range(3)), *times(rest)]
    theirs = [
        *times(*((f"f{n}", "FusedConv", "float product", 5) for n in range(3))),
        *times(("f", "FusedConv", "float product", 950)),
    ]
    assert slower_in_int8(ours, theirs, ["c0", "c1", "c2", "rest"]) == ()


def test_layers_that_would_not_make_int8_clearly_faster_together_stay():
    ours = times(("a", "QLinearConv", "integer product", 100), ("b", "QLinearConv", "integer product", 900))
    theirs = [*times(("x", "FusedConv", "float product", 80)), *times(("y", "FusedConv", "float product", 950))]
    assert slower_in_int8(ours, theirs, ["a", "b"]) == ()
    faster = [*times(("x", "FusedConv", "float product", 60)), theirs[1]]
    assert slower_in_int8(ours, faster, ["a", "b"]) == ("a",)


def test_int8_that_is_slower_by_more_than_chance_is_remarked_upon(tmp_path: Path):
    model, timed = open_model(tiny_models.conv(tmp_path / "m.onnx")), tmp_path / "timed.npz"
    np.savez(timed, **tiny_models.samples("conv", 2))
    artifact = builder.build(model, Recipe("fp32"), RuntimeSettings(threads=1), tmp_path)
    floats = trial(0, 100)
    bundle, profile = tmp_path / "m.edge", device_profiles.detect(this_machine())
    pack(Contents("m", profile, artifact, Recipe("fp32"), {}, {}), bundle)
    same, slower = (dataclasses.replace(trial(1, ms), artifact=artifact, bundle=bundle) for ms in (104, 107))
    assert remark(same, [floats, same], timed) == ""
    assert floats.name in remark(slower, [floats, slower], timed)


@pytest.mark.parametrize("runtime", plugins.names("runtimes.profilers"))
def test_each_profiler_finds_the_products_and_what_they_compute_in(runtime, tmp_path: Path):
    try:
        profiler = plugins.load("runtimes.profilers", runtime, "runtime")
    except NotInstalledError as error:
        pytest.skip(str(error))
    model = open_model(tiny_models.conv(tmp_path / "m.onnx"))
    np.savez(tmp_path / "s.npz", **tiny_models.samples("conv", 8))
    data = dataset.read(tmp_path / "s.npz", model.inputs)
    feeds = list(samples.feeds(model.inputs, data.arrays))
    int8 = quantize(model, Recipe("int8", "minmax"), data, tmp_path / "int8.onnx")
    settings = RuntimeSettings(threads=1)
    floats = profiler.profile(model.path.read_bytes(), settings, feeds, 3).times
    integers = profiler.profile(int8.path.read_bytes(), settings, feeds, 3).times
    assert {item.kind for item in floats} >= {"float product"}
    assert "integer product" not in {item.kind for item in floats}
    assert {item.kind for item in integers} >= {"integer product", "conversion"}
    assert all(item.us >= 0 for item in [*floats, *integers])
