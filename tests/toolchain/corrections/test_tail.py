"""The float tail: its nodes and its end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from correction_models import Case

from runtimes.profile import QuantizationScheme
from toolchain.models.onnx_model import load_ir
from toolchain.recipes.recipe import Recipe

pytestmark = [pytest.mark.int8, pytest.mark.usefixtures("one_process")]

PLAIN = Recipe("int8", "minmax", QuantizationScheme("uint8"))
TAILED = replace(PLAIN, corrections=("tail",))


def pictures(folder: Path, widths: tuple[int, ...], end: str = "y = Relu(c)", **shapes: tuple[int, ...]) -> Case:
    """Three Convs of these numbers of channels, and what comes behind them, with the shapes of its weights."""
    text = f"""pictures (float[N,3,12,12] x) => (float[N,{widths[3]}{"" if "Gemm" in end else ",12,12"}] y) {{
        a = Conv<pads=[1,1,1,1]>(x, w0)
        r = Relu(a)
        b = Conv<pads=[1,1,1,1]>(r, w1)
        s = Relu(b)
        c = Conv<pads=[1,1,1,1]>(s, w2)
        {end}
    }}"""
    rng = np.random.default_rng(0)
    constants = {f"w{i}": rng.normal(0, 0.1, (widths[i + 1], widths[i], 3, 3)) for i in range(3)}
    constants.update({name: rng.normal(0, 0.1, shape) for name, shape in shapes.items()})
    return Case.of(folder, text, constants, {"x": rng.standard_normal((8, 3, 12, 12)).astype(np.float32)})


def floats(case: Case) -> list[int]:
    """Tell which products of the int8 file read float weights, in the model's order."""
    products = [node for node in load_ir(case.quantized(TAILED).path).graph if node.op_type in ("Conv", "Gemm")]
    return [i for i, node in enumerate(products) if node.inputs[1] is not None and node.inputs[1].is_initializer()]


def test_a_cheap_last_layer_stays_in_float_and_what_it_writes_is_not_rounded(tmp_path: Path) -> None:
    case = pictures(tmp_path, (3, 64, 64, 3))
    assert floats(case) == [2]
    assert case.decibels(TAILED) > case.decibels(PLAIN) + 0.5


def test_a_dear_last_layer_runs_on_integers(tmp_path: Path) -> None:
    assert floats(pictures(tmp_path, (3, 32, 32, 32))) == []


def test_the_tail_goes_on_while_it_is_cheap(tmp_path: Path) -> None:
    assert floats(pictures(tmp_path, (3, 256, 2, 2))) == [2]
    case = pictures(tmp_path, (3, 64, 64, 2), "d = Relu(c)  y = Conv<pads=[1,1,1,1]>(d, w3)", w3=(2, 2, 3, 3))
    assert floats(case) == [2, 3]


def test_a_classifier_has_none(tmp_path: Path) -> None:
    end = "p = GlobalAveragePool(c)  f = Flatten(p)  y = Gemm(f, w3)"
    assert floats(pictures(tmp_path, (3, 64, 64, 2), end, w3=(2, 2))) == []
