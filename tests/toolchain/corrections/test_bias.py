"""Bias correction of a MatMul and the Add after it; of a Conv and Gemm, see test_int8_errors.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from correction_models import Case

from runtimes.profile import QuantizationScheme
from toolchain.models.onnx_model import CORRECTIONS_KEY, load_ir
from toolchain.recipes.recipe import Recipe

pytestmark = [pytest.mark.int8, pytest.mark.usefixtures("one_process")]

PLAIN = Recipe("int8", "minmax", QuantizationScheme("uint8", reduce_range=True))
CORRECTED = replace(PLAIN, corrections=("bias",))


@pytest.mark.parametrize(
    ("nodes", "changed"),
    [
        ("p = MatMul(x, w) y = Add(p, b)", 1),
        ("p = MatMul(x, w) y = Add(b, p)", 1),
        ("p = MatMul(x, w) q = Add(p, b) r = Relu(p) y = Add(q, r)", 0),  # the Add is not the only reader
        ("p = MatMul(x, w) y = Add(p, x)", 0),
    ],
)
def test_the_vector_after_a_product_takes_the_shift(tmp_path: Path, nodes: str, changed: int) -> None:
    rng = np.random.default_rng(0)
    constants = {"w": rng.uniform(0, 1, (32, 32)), "b": rng.standard_normal(32)}
    used = {name: array for name, array in constants.items() if f", {name})" in nodes or f"({name}," in nodes}
    text = f"dense (float[N,L,32] x) => (float[N,L,32] y) {{ {nodes} }}"
    made = Case.of(tmp_path, text, used, {"x": rng.uniform(0.9, 1, (32, 4, 32)).astype(np.float32)})
    assert load_ir(made.quantized(CORRECTED).path).metadata_props[CORRECTIONS_KEY] == f"bias {changed}"
    if changed:
        assert made.decibels(CORRECTED) > made.decibels(PLAIN) + 3
