"""The small parts of building: progress, layers, the log, and the cache on disk."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.bundles.build_plan import EngineLayer
from runtimes.errors import UsageError
from runtimes.tensorrt import engine_file, engine_layers
from runtimes.tensorrt.build_progress import Phases
from runtimes.tensorrt.engine_file import BuildEnvironment, EngineKey
from runtimes.tensorrt.logger import last_errors, listening, logger

ENVIRONMENT = BuildEnvironment("tensorrt", "10.3.0", "12.6", "Linux", "aarch64", "8.7", "Orin")


def test_a_step_inside_a_phase_is_a_part_of_its_parents_step():
    phases = Phases()
    phases.start("build", None, 4)
    phases.step("build", 0)
    phases.start("tactics", "build", 2)
    phases.step("tactics", 0)
    assert phases.done == pytest.approx(0.25 + 0.25 / 2)
    phases.finish("tactics")
    assert phases.done == pytest.approx(0.25 + 0.25 / 2)  # it does not fall back
    phases.step("build", 3)
    assert phases.done == 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["start", "step", "finish"]), st.integers(0, 5))))
def test_progress_never_falls_and_stays_within_the_whole(events):
    phases, last = Phases(), 0.0
    for name, what, number in events:
        if what == "start":
            phases.start(name, None if name == "a" else chr(ord(name) - 1), number)
        elif what == "step":
            phases.step(name, number)
        else:
            phases.finish(name)
        assert last <= phases.done <= 1
        last = phases.done


def test_layers_of_the_log():
    line = (
        "Name: fc, LayerType: kgen, Inputs: [ { Name: x, Datatype: Half, Format: any }], Constants: [], "
        "Outputs: [ { Name: y, Dimensions: [1,2], Datatype: Float, Format: any }], TacticName: t, StreamId: 0, "
        "Metadata: [ONNX Layer: a][ONNX Layer: b]"
    )
    text = (
        f"Layers:\n{line}\nName: shapes, LayerType: shape_call, Inputs: [], Outputs: [], Metadata: \n\nI/O Tensors:\n"
    )
    found = engine_layers.from_log(["something else", text + " Name: x, IOMode: Input"])
    assert found == (EngineLayer("fc", "kgen", "Float", ("a", "b")), EngineLayer("shapes", "shape_call", ""))
    assert engine_layers.from_log(["nothing"]) == ()


def test_layers_of_the_inspector_of_an_older_release():
    listed = {"Layers": ["only a name", {"Name": "c", "Outputs": [{"Format/Datatype": "Row major linear FP16"}]}]}
    inspector = SimpleNamespace(get_engine_information=lambda form: json.dumps(listed))
    trt = SimpleNamespace(LayerInformationFormat=SimpleNamespace(JSON=1))
    found = engine_layers.from_engine(trt, SimpleNamespace(create_engine_inspector=lambda: inspector))
    assert found == (EngineLayer("only a name", "", ""), EngineLayer("c", "", "Row major linear FP16"))


def test_the_log_is_heard_by_whoever_listens(trt):
    log = logger(trt)
    severity = SimpleNamespace(name="ERROR")
    last_errors()
    with listening() as outer:
        log.log(severity, "one\n line")
        with listening() as inner:
            log.log(severity, "two")
            log.log(SimpleNamespace(name="INFO"), "chatter")
    assert (outer.errors, inner.errors) == ("one line; two", "two")
    assert last_errors() == "one line; two"
    assert last_errors() == "TensorRT gave no reason"


def test_an_engine_file_is_good_for_its_key_alone(tmp_path):
    key, file = EngineKey(ENVIRONMENT, None, "ab"), tmp_path / "x"
    assert engine_file.read(file, key) is None
    engine_file.write(file, key, b"\n\0engine\n", {"layers": []})
    assert engine_file.read(file, key) == (b"\n\0engine\n", {"layers": []})
    for other in (
        EngineKey(ENVIRONMENT, None, "cd"),
        EngineKey(ENVIRONMENT),
        EngineKey(BuildEnvironment(*["x"] * 7), None, "ab"),
    ):
        with pytest.raises(UsageError, match="was made by another build"):
            engine_file.read(file, other)


@pytest.mark.parametrize("data", [b"", b"not json\nengine", b"{}\nengine", b"[]\n", b"\xff\n"])
def test_what_is_no_engine_file(tmp_path, data):
    file = tmp_path / "x"
    file.write_bytes(data)
    with pytest.raises(UsageError, match="is no file that edgewright wrote; delete it"):
        engine_file.read(file, EngineKey(ENVIRONMENT))
