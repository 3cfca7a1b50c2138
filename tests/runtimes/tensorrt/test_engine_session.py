"""The run path on a fake of TensorRT and CUDA that checks order, addresses, shapes and lifetimes."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnxruntime as ort
import pytest
from onnx import parser

from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import BackendError, FeedError, UnsupportedError, UsageError
from runtimes.tensorrt.engine_session import EngineSession, check_options

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def expected(dynamic, images):
    artifact, _ = dynamic
    return ort.InferenceSession(artifact.file).run(["scores"], {"image": images})[0]


def test_it_computes_and_gives_everything_back(trt, memory, dynamic, images):
    with EngineSession(dynamic[0], trt, dynamic[1], memory) as session:
        outputs = session.run({"image": images})
        np.testing.assert_allclose(outputs["scores"], expected(dynamic, images), rtol=1e-5)
        assert memory.live
    assert not memory.live


def test_copies_surround_the_compute_on_one_stream(trt, memory, dynamic, images):
    with EngineSession(dynamic[0], trt, dynamic[1], memory) as session:
        memory.done.clear()
        session.run({"image": images[:1]})
        assert memory.done == ["h2d", "execute", "d2h"]
        assert len(memory.queues) == 1


def test_nothing_is_allocated_while_it_runs(trt, memory, dynamic, images):
    with EngineSession(dynamic[0], trt, dynamic[1], memory) as session:
        memory.allocated.clear()
        for n in (1, 4, 2, 3, 1):
            session.run({"image": images[:n]})
        assert memory.allocated == []


def test_optimization_profiles_are_selected_by_the_shape(trt, memory, dynamic, images):
    with EngineSession(dynamic[0], trt, dynamic[1], memory) as session:
        memory.done.clear()
        for n in (1, 2, 4, 3, 1):
            scores = session.run({"image": images[:n]})["scores"]
            np.testing.assert_allclose(scores, expected(dynamic, images[:n]), rtol=1e-5)
        assert memory.done.count("profile") == 2  # to the second at 4, and back at 1


def test_a_shape_that_no_optimization_profile_holds(trt, memory, dynamic, images):
    with EngineSession(dynamic[0], trt, dynamic[1], memory) as session:
        with pytest.raises(
            FeedError, match=r"takes image 1x3x8x8\.\.1x3x8x8\.\.2x3x8x8 or .*, not image 5x3x8x8;.*--range"
        ):
            session.run({"image": np.concatenate([images, images[:1]])})
        assert session.run({"image": images})["scores"].shape == (4, 5)  # and it goes on


def test_outputs_belong_to_the_caller(trt, memory, dynamic, images):
    with EngineSession(dynamic[0], trt, dynamic[1], memory) as session:
        first = session.run({"image": images})["scores"]
        kept = first.copy()
        session.run({"image": images + 1})
        np.testing.assert_array_equal(first, kept)


def test_sessions_share_nothing(trt, memory, dynamic, static, images):
    with (
        EngineSession(dynamic[0], trt, dynamic[1], memory) as one,
        EngineSession(dynamic[0], trt, dynamic[1], memory) as two,
        EngineSession(static[0], trt, static[1], memory) as other,
    ):
        assert len(memory.queues) == 3
        a, b = one.run({"image": images[:2]}), two.run({"image": images})
        np.testing.assert_array_equal(other.run({"x": X})["y"], 2 * X)
        np.testing.assert_allclose(one.run({"image": images[:2]})["scores"], a["scores"])
        np.testing.assert_allclose(b["scores"], expected(dynamic, images), rtol=1e-5)
    assert not memory.live


def test_static_shapes_run_as_one_graph(trt, memory, static):
    with EngineSession(static[0], trt, static[1], memory) as session:
        assert session.uses_cuda_graph
        assert memory.done == ["execute"]  # what TensorRT puts off is done before the capture
        for factor in (1, 3):
            np.testing.assert_array_equal(session.run({"x": factor * X})["y"], 2 * factor * X)
        assert memory.done[1:] == ["h2d", "graph:execute", "d2h"] * 2
    assert not memory.live


@pytest.mark.parametrize("why", ["option", "binding", "layer"])
def test_without_a_graph_it_computes_the_same(trt, memory, static, why):
    artifact = static[0]
    if why == "option":
        artifact = dataclasses.replace(artifact, settings=RuntimeSettings(options={"cuda_graph": "off"}))
    memory.can_capture = why != "binding"
    trt.state.capturable = why != "layer"
    with EngineSession(artifact, trt, static[1], memory) as session:
        assert not session.uses_cuda_graph
        np.testing.assert_array_equal(session.run({"x": X})["y"], 2 * X)
    assert not memory.live


def test_context_engine_and_runtime_go_in_order_and_before_the_buffers(trt, memory, static):
    session = EngineSession(static[0], trt, static[1], memory)
    buffers = len(memory.allocations)
    session.close()
    session.close()  # harmless
    assert trt.state.lifetimes == [f"{kind} gone, {buffers} buffers" for kind in ("context", "engine", "runtime")]


def test_the_parts_of_an_inference_apart(trt, memory, static):
    with EngineSession(static[0], trt, static[1], memory) as session:
        memory.done.clear()
        times = session.timed({"x": X})
        assert memory.done == ["event", "h2d", "event", "graph:execute", "event", "d2h", "event"]
        assert min(times.h2d_ms, times.compute_ms, times.d2h_ms, times.enqueue_ms) > 0
    assert not memory.live


def test_what_is_no_engine(trt, memory, static):
    with pytest.raises(BackendError, match=r"^tensorrt 10.3.0 cannot load '.*': Magic tag does not match$"):
        EngineSession(static[0], trt, b"no engine", memory)
    assert not memory.live


def test_memory_that_runs_out_is_given_back(trt, memory, dynamic):
    memory.limit = 100
    with pytest.raises(BackendError, match="out of memory"):
        EngineSession(dynamic[0], trt, dynamic[1], memory)
    assert not memory.live


def test_an_engine_of_another_model(trt, memory, static, dynamic):
    with pytest.raises(BackendError, match="has image, scores, but its bundle declares x, y"):
        EngineSession(static[0], trt, dynamic[1], memory)
    assert not memory.live


def test_a_failure_while_running_passes_the_log_on(trt, memory, dynamic, images):
    with EngineSession(dynamic[0], trt, dynamic[1], memory) as session:
        session.run({"image": images})
        session._context.addresses.clear()
        with pytest.raises(BackendError, match=r"^TensorRT failed in '.*': enqueueV3: an address or a shape"):
            session.run({"image": images})


def test_outputs_whose_shape_depends_on_the_data(trt, memory, tmp_path, static):
    text = '<ir_version: 8, opset_import: ["" : 17]> nz (float[2,3] x) => (int64[2,K] y) { y = NonZero(x) }'
    artifact = dataclasses.replace(
        static[0], outputs=(dataclasses.replace(static[0].outputs[0], dtype="int64", shape=(2, "K")),)
    )
    with pytest.raises(UnsupportedError, match="'y' depends on the data"):
        EngineSession(artifact, trt, b"[]\n" + parser.parse_model(text).SerializeToString(), memory)
    assert not memory.live


def test_options():
    check_options({"cuda_graph": "off", "memory": "pycuda"})
    with pytest.raises(UsageError, match=r"no option speed=11; choose cuda_graph=auto\|off or memory="):
        check_options({"speed": "11"})


def test_an_output_beyond_its_buffer_is_refused(trt, memory, dynamic):
    with EngineSession(dynamic[0], trt, dynamic[1], memory) as session:
        slot = session._buffers._slots["scores"]
        with pytest.raises(UnsupportedError, match=r"of 'scores' is larger than for the largest inputs"):
            slot.view((slot.pinned.array.size, 2))
