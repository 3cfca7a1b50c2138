"""A detector with NonMaxSuppression inside: outputs whose sizes depend on the data."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from variants import normal, parse

from hwbench.machine import device_profiles
from runtimes import npz
from runtimes.bundles.bundle import Bundle
from runtimes.errors import UsageError
from runtimes.verification.self_test import self_test
from toolchain.models import ort_session
from toolchain.models.data_dependent import data_dependent_outputs
from toolchain.pipeline.build import build
from toolchain.sources.open_source import open_source

DETECTOR = """detector (float[1,3,32,32] x) => (float[K,4] boxes, float[K] scores, int64[K] classes) {
    a = Conv<pads=[1,1,1,1], strides=[2,2]>(x, first) b = Relu(a)
    c = Conv<pads=[1,1,1,1], strides=[2,2]>(b, second) d = Relu(c) e = Conv(d, head)
    f = Reshape(e, rows) by_class = Sigmoid(f)
    kept = NonMaxSuppression(grid, by_class, most, overlap, least)
    box = Gather<axis=1>(kept, two) classes = Gather<axis=1>(kept, one)
    flat = Squeeze(grid, axis) boxes = Gather(flat, box)
    picked = Slice(kept, from, to, column) per_class = Squeeze(by_class, axis) scores = GatherND(per_class, picked)
}"""


def detector(least: float) -> onnx.ModelProto:
    """Boxes of 6 x 6 pixels on a grid of 8 x 8, and scores of 4 classes; those of at least `least` are kept."""
    centres = np.stack(np.mgrid[0:8, 0:8], -1).reshape(1, 64, 2) * 4.0 + 2
    floats = {
        "first": normal(16, 3, 3, 3, scale=0.3),
        "second": normal(32, 16, 3, 3, scale=0.1),
        "head": normal(4, 32, 1, 1, scale=0.4),
        "grid": np.concatenate([centres - 3, centres + 3], -1),
        "overlap": np.array(0.5),
        "least": np.array(least),
    }
    integers = {
        "rows": [1, 4, 64],
        "most": [50],
        "two": 2,
        "one": 1,
        "axis": [0],
        "from": [1],
        "to": [3],
        "column": [1],
    }
    constants = {name: np.asarray(array, np.float32) for name, array in floats.items()}
    return parse(DETECTOR, {**constants, **{name: np.array(number) for name, number in integers.items()}})


@pytest.mark.parametrize("least", [0.75, 0.999, 1.0])
def test_float_is_compared_by_value_and_size_and_its_bundle_verifies(tmp_path, request_for, least):
    """At the second threshold some samples have no detection, at the third none has any."""
    onnx.save(detector(least), tmp_path / "detector.onnx")
    npz.write(tmp_path / "samples.npz", {"x": normal(8, 3, 32, 32)})
    request = request_for(
        tmp_path / "detector.onnx",
        calibration=tmp_path / "samples.npz",
        precisions=("fp32", "int8"),
        runtimes=("onnxruntime",),
    )
    (result,) = build(request).profiles
    found = {one.precision: one for one in result.candidates}
    assert found["fp32"].report.accuracy.value == 1.0
    assert found["fp32"].status in ("selected", "eligible")
    assert least > 0.9 or found["int8"].report.accuracy.value < 1.0
    note = next(note for note in result.caveats if "depends on the data" in note)
    assert "boxes, scores, classes depends on the data (NonMaxSuppression)" in note
    assert "cut the model before NonMaxSuppression" in note
    bundle = next(request.out.glob("*.edge"))
    assert self_test(bundle, any_machine=True).passed
    with Bundle(bundle) as opened:
        rows = opened.golden("output", opened.manifest.artifact.outputs)["scores"]
    sizes = {len(one) for one in rows}
    assert sizes == {0} if least == 1.0 else len(sizes) > 1


@pytest.mark.parametrize("rows", [3, 50])
@pytest.mark.parametrize("least", [0.75, 0.999, 1.0])
def test_a_fixed_number_of_rows_is_the_first_of_them_or_filled_with_zeros(tmp_path, least, rows):
    onnx.save(detector(least), tmp_path / "detector.onnx")
    source = str(tmp_path / "detector.onnx")
    free = open_source(source, [], tmp_path / "free.onnx")
    fixed = open_source(source, [], tmp_path / "fixed.onnx", output_rows=rows)
    assert [spec.shape for spec in fixed.outputs] == [(rows, 4), (rows,), (rows,)]
    assert [spec.name for spec in fixed.outputs] == [spec.name for spec in free.outputs]
    assert fixed.source_sha256 == free.sha256
    sessions = [ort_session.session(model.path) for model in (free, fixed)]
    for x in normal(8, 1, 3, 32, 32):
        for found, padded in zip(*(session.run(None, {"x": x}) for session in sessions)):
            expected = np.zeros((rows, *found.shape[1:]), found.dtype)
            expected[: len(found)] = found[:rows]
            np.testing.assert_array_equal(padded, expected)


def test_rows_are_refused_where_no_output_has_any(tmp_path):
    onnx.save(parse("t (float[N,4] x) => (float[N,4] y) { y = Relu(x) }", {}), tmp_path / "m.onnx")
    with pytest.raises(
        UsageError, match=r"--output-rows 5: no output of '.*m.onnx' has a size that depends on the data"
    ):
        open_source(str(tmp_path / "m.onnx"), [], tmp_path / "out.onnx", output_rows=5)


def test_engines_are_refused_with_a_way_out(tmp_path, request_for):
    onnx.save(detector(0.75), tmp_path / "detector.onnx")
    profile = device_profiles.load("jetson-orin-nano")
    request = request_for(tmp_path / "detector.onnx", profiles=(profile,), precisions=("fp32",), runtimes=("tensorrt",))
    (result,) = build(request).profiles
    (only,) = result.candidates
    assert "The size of the output 'boxes' depends on the data (NonMaxSuppression)" in only.reason
    assert "--output-rows, or cut the model before NonMaxSuppression" in only.reason


@pytest.mark.parametrize(
    ("shape", "body", "expected"),
    [
        ("[M,2]", "i = NonZero(x) t = Cast<to=1>(i) y = Transpose(t)", {"y": "NonZero"}),
        ("[1,1]", "i = NonZero(x) t = Cast<to=1>(i) y = ReduceMax(t)", {}),
        ("[N,4]", "y = Relu(x)", {}),
        ("[M]", "k = Greater(x, x) f = Reshape(x, all) g = Reshape(k, all) y = Compress(f, g)", {"y": "Compress"}),
    ],
)
def test_only_what_counts_is_named(shape: str, body: str, expected: dict[str, str]) -> None:
    proto = parse(f"t (float[N,4] x) => (float{shape} y) {{ {body} }}", {"all": np.array([-1])})
    assert data_dependent_outputs(ir.from_proto(proto)) == expected
