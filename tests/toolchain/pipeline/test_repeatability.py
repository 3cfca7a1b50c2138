"""Sources that draw random numbers: refused by the operator's name where the numbers matter, and only there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from hwbench.targets.local import LocalTarget
from runtimes import npz
from runtimes.errors import UsageError
from runtimes.profile import HardwareProfile
from toolchain.models.onnx_model import open_model
from toolchain.pipeline.pack_model import pack_as_is
from toolchain.pipeline.repeatability import check_repeats, random_operators

DRAWS = {
    "RandomNormal": "r = RandomNormal<shape=[1,16]>() y = Add(x, r)",
    "RandomNormalLike": "r = RandomNormalLike(x) y = Add(x, r)",
    "RandomUniform": "r = RandomUniform<shape=[1,16]>() y = Add(x, r)",
    "RandomUniformLike": "r = RandomUniformLike(x) y = Mul(x, r)",
    "Bernoulli": "y = Bernoulli(x)",
    "Multinomial": "l = Log(x) i = Multinomial<sample_size=16>(l) y = Cast<to=1>(i)",
    "Dropout": "ratio = Constant<value=float {0.5}>() on = Constant<value=bool {1}>() y = Dropout(x, ratio, on)",
}


def plainly(body: str) -> onnx.ModelProto:
    return model(body)


def in_a_branch(body: str) -> onnx.ModelProto:
    return model(
        f"""s = ReduceSum<keepdims=0>(x) zero = Constant<value=float {{0.0}}>() p = Greater(s, zero)
        z = If(p) <then_branch = yes () => (float[N,16] y) {{ {body} }},
                   else_branch = no () => (float[N,16] e) {{ e = Neg(x) }}> y = Abs(z)"""
    )


def in_a_function(body: str) -> onnx.ModelProto:
    return model(
        "y = own.draw(x)", f'<domain: "own", opset_import: ["" : 18]> draw (x) => (y) {{ {body} }}', ', "own" : 1'
    )


def model(body: str, functions: str = "", imported: str = "") -> onnx.ModelProto:
    head = f'<ir_version: 8, opset_import: ["" : 18{imported}]>'
    return onnx.parser.parse_model(f"{head} t (float[N,16] x) => (float[N,16] y) {{ {body} }} {functions}")


PLACES = [plainly, in_a_branch, in_a_function]
Place = Callable[[str], onnx.ModelProto]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("op", DRAWS)
def test_every_operator_that_draws_is_found(place: Place, op: str) -> None:
    assert random_operators(ir.from_proto(place(DRAWS[op]))) == (op,)


@pytest.mark.parametrize("place", PLACES)
def test_dropout_in_eval_mode_draws_nothing(place: Place) -> None:
    assert random_operators(ir.from_proto(place("y = Dropout(x)"))) == ()


@pytest.mark.parametrize(
    ("place", "op"), [(plainly, "RandomNormal"), (in_a_branch, "Bernoulli"), (in_a_function, "Dropout")]
)
def test_a_source_that_differs_from_itself_is_refused(
    tmp_path: Path, device: HardwareProfile, place: Place, op: str
) -> None:
    with pytest.raises(UsageError, match=rf"Output 'y' differs between two runs .* \({op}\)"):
        check(tmp_path, device, place(DRAWS[op]))


@pytest.mark.parametrize(
    "body",
    [
        "r = RandomNormal<shape=[1,16], seed=3.0>() y = Add(x, r)",
        "r = RandomNormal<shape=[1,16]>() z = Constant<value=float {0.0}>() s = Mul(r, z) y = Add(x, s)",
        "r = RandomNormalLike(x) y = Relu(x)",
    ],
)
def test_random_numbers_that_do_not_matter_are_let_in(tmp_path: Path, device: HardwareProfile, body: str) -> None:
    check(tmp_path, device, model(body))


def check(folder: Path, device: HardwareProfile, proto: onnx.ModelProto) -> None:
    """Each run is a process of its own: within one process, ONNX Runtime draws the same numbers in every session."""
    onnx.save(proto, folder / "model.onnx")
    npz.write(folder / "samples.npz", {"x": np.random.default_rng(0).uniform(0.1, 0.9, (4, 16)).astype(np.float32)})
    (folder / "work").mkdir()
    bundle, _ = pack_as_is(str(folder / "model.onnx"), (), device, None, folder / "work")
    check_repeats(open_model(folder / "model.onnx"), bundle, folder / "samples.npz", LocalTarget())


def test_build_refuses_it_before_it_searches(tmp_path, cli):
    onnx.save(plainly(DRAWS["RandomNormal"]), tmp_path / "model.onnx")
    done = cli("build", tmp_path / "model.onnx", "--out", tmp_path / "out")
    assert done.code == 2
    assert "draws random numbers (RandomNormal)" in done.err
    assert not (tmp_path / "out").exists()
