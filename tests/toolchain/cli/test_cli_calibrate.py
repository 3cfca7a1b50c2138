"""edgewright calibrate, and builds with the table that it wrote."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_models
from onnx import numpy_helper

from toolchain.calibration import table as tables
from toolchain.graphs.value_range import Range


@pytest.fixture
def table(cli, digits, tmp_path) -> Path:
    """A table of the digits."""
    out = tmp_path / "new" / "table.json"
    ran = cli("calibrate", digits.onnx, "--calibration", digits.calibration, "--out", out)
    assert (ran.code, ran.out) == (0, f"Table: {out}\n"), ran.err
    return out


@pytest.fixture
def edited(table):
    """Writes the table with some ranges replaced, or left out."""

    def write(**changes: object) -> Path:
        data = json.loads(table.read_text())
        ranges = {**data["ranges"], **changes}
        data["ranges"] = {name: value for name, value in ranges.items() if value is not None}
        table.write_text(json.dumps(data))
        return table

    return write


def test_the_table_holds_what_the_samples_show(table, digits):
    with np.load(digits.calibration) as data:
        image = data["image"]
    found = tables.read(table)
    assert (found.method, found.samples, found.complete) == ("minmax", len(image), True)
    assert found.ranges["image"] == Range(float(image.min()), float(image.max()))
    assert len(found.ranges) > 2


def test_evaluation_samples_are_compared(cli, digits, tmp_path):
    with np.load(digits.evaluation) as data:
        np.savez(tmp_path / "inverted.npz", image=1 - data["image"])
    told = {}
    for name, samples in (("alike", digits.evaluation), ("inverted", tmp_path / "inverted.npz")):
        out = ("--out", tmp_path / "table.json")
        ran = cli("calibrate", digits.onnx, "--calibration", digits.calibration, "--evaluation", samples, *out)
        assert ran.code == 0
        told[name] = ran.err
    assert "The evaluation samples show no drift from the calibration samples in " in told["alike"]
    assert "distributed otherwise in 'image' (population stability index" in told["inverted"]


def test_steps_of_sequences_are_not_compared(cli, digits):
    samples = ("--calibration", digits.calibration, "--evaluation", digits.evaluation)
    ran = cli("calibrate", digits.onnx, *samples, "--state", "y=x")
    assert ran.code == 2
    assert "--evaluation compares samples" in ran.err


def test_a_factory_gives_the_same_table(table, cli, digits, tmp_path):
    (tmp_path / "data.py").write_text(
        f"import numpy as np\ndef make():\n    for image in np.load({str(digits.calibration)!r})['image']:\n"
        "        yield {'image': image}\n"
    )
    other = tmp_path / "other.json"
    ran = cli("calibrate", digits.onnx, "--calibration", f"{tmp_path / 'data.py'}:make", "--out", other)
    assert ran.code == 0, ran.err
    assert tables.read(other) == tables.read(table)


def test_a_build_takes_an_edited_table(cli, one_process, edited, digits, device_file, tmp_path):
    path = edited(image={"low": -3.0, "high": 8.0})
    ran = cli(
        *("build", digits.onnx, "--profile", device_file, "--runtime", "onnxruntime", "--precision", "int8"),
        *("--calibration", digits.calibration, "--calibration-table", path, "--budget", "accuracy_drop<=1"),
        *("--duration", 0.05, "--out", tmp_path / "out"),
    )
    assert ran.code == 0, ran.err
    assert "Calibrating" not in ran.err
    assert scale_of_image(tmp_path / "out" / "digits-bench.edge") == pytest.approx(11 / 255, rel=0.01)


def scale_of_image(bundle: Path) -> float:
    with zipfile.ZipFile(bundle) as archive:
        model = onnx.load_from_string(archive.read("artifact/model.onnx"))
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    pair = next(node for node in model.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "image")
    return float(constants[pair.input[1]])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"imgae": {"low": 0, "high": 1}}, ("names the tensor 'imgae', which this model does not have",)),
        ({"image": {"low": 1, "high": 0}}, ("'ranges.image' is no range: low 1",)),
        ({"image": {"low": 0}}, ("'ranges.image.high'",)),
        ({"image": None}, ("has no range for the tensor 'image'; calibrate this model again",)),
    ],
    ids=["unknown", "backwards", "half", "lacking"],
)
def test_a_table_that_does_not_fit_is_refused(refuses_build, edited, changes, words):
    refuses_build("--calibration-table", edited(**changes), words=words)


def test_a_table_that_is_not_there_is_refused(refuses_build, tmp_path):
    refuses_build("--calibration-table", tmp_path / "no.json", words=(f"There is no file '{tmp_path / 'no.json'}'",))


def test_corrections_need_the_samples_beside_the_table(cli, table, digits, elsewhere, tmp_path):
    ran = cli(
        *("build", digits.onnx, "--profile", elsewhere.name, "--runtime", "onnxruntime", "--precision", "int8"),
        *("--calibration-table", table, "--out", tmp_path / "out", "--format", "json"),
    )
    assert "needs samples too; give --calibration" in ran.out + ran.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--method", "median"), ("median", "entropy, minmax, mse, percentile")),
        (("--calibration", "no.npz"), ("There is no file 'no.npz'",)),
        (("--calibration", "no.py:make"), ("There is no file 'no.py'",)),
    ],
)
def test_what_cannot_be_calibrated_is_refused(refuses, digits, out, options, words):
    command = ["calibrate", digits.onnx, "--calibration", digits.calibration, "--out", out / "table.json"]
    refuses(*command, *options, words=words)


def test_too_few_samples_for_an_entropy_are_counted(refuses, out, tmp_path):
    model = tiny_models.conv(tmp_path / "net.onnx")
    np.savez(tmp_path / "c.npz", **tiny_models.samples("conv", 3))
    command = ["calibrate", model, "--calibration", tmp_path / "c.npz", "--out", out / "table.json"]
    words = ("Method entropy takes 2,048 values of a tensor, and 3 samples gave 576 of 'image'", "or use minmax")
    refuses(*command, "--method", "entropy", words=words)


def test_a_model_that_onnx_runtime_cannot_load_is_refused_with_its_reason(refuses, out, tmp_path):
    model = tiny_models.double(tmp_path / "net.onnx", body="y = NoSuchOperator(x)")
    np.savez(tmp_path / "c.npz", x=np.ones((4, 2), np.float32))
    command = ["calibrate", model, "--calibration", tmp_path / "c.npz", "--out", out / "table.json"]
    refuses(*command, words=("ONNX Runtime cannot load", "NoSuchOperator"))


def test_a_quantized_model_is_refused(refuses, out, tmp_path):
    model = tiny_models.quantized(tmp_path / "net.onnx")
    np.savez(tmp_path / "c.npz", **tiny_models.samples("quantized", 4))
    command = ["calibrate", model, "--calibration", tmp_path / "c.npz", "--out", out / "table.json"]
    refuses(*command, words=("is quantized already",))


def test_an_interrupt_keeps_what_was_seen(tmp_path):
    layers = "".join(f"h{i + 1} = MatMul(h{i}, w) " for i in range(8))
    weights = "s = Constant<value = int64[2] {512, 512}>() w = ConstantOfShape<value = float[1] {0.002}>(s)"
    body = f"{weights} h0 = Relu(x) {layers} y = Relu(h8)"
    model = tiny_models.double(tmp_path / "net.onnx", inputs="float[N,512] x", body=body)
    (tmp_path / "data.py").write_text(
        "import numpy as np\n"
        "def make():\n"
        "    for i in range(1, 2001):\n"
        "        yield {'x': np.full((20, 512), i, np.float32)}\n"
    )
    out = tmp_path / "table.json"
    command = ("calibrate", str(model), "--calibration", f"{tmp_path / 'data.py'}:make", "--out", str(out))
    start = (sys.executable, "-c", "from toolchain.cli import main; main()")
    with subprocess.Popen([*start, *command], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        forecast = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert forecast.startswith("Calibrating by minmax on 2,000 samples takes "), forecast + told
    found = tables.read(out)
    assert (process.returncode, found.complete) == (130, False)
    assert 3 <= found.samples < 2000
    assert told == f"Interrupted after {found.samples:,} of 2,000 samples; '{out}' holds their ranges.\n"
    assert found.ranges["h0"] == Range(1, found.samples)  # the table is that of exactly these samples
