"""Samples that run together: batches where the model takes them, one after another where it does not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hwbench.load.loadgen.sample_library import lay_out
from runtimes.errors import UsageError
from runtimes.inference.load import load
from toolchain.pipeline.pack_model import pack_as_is


@pytest.fixture
def opens(tmp_path, here):
    """A session on a model of one input x, one node, and given shapes."""

    def make(node, shape, inner=()):
        graph = helper.make_graph(
            [node],
            "small",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            list(inner),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, tmp_path / "small.onnx")
        bundle, _ = pack_as_is(str(tmp_path / "small.onnx"), (), here, 1, tmp_path)
        return load(bundle)

    return make


def rows(n, width=4):
    return {"x": np.arange(n * width, dtype=np.float32).reshape(n, width)}


def test_samples_of_a_dynamic_batch_run_as_one_inference_and_none_is_left_out(bundle, images):
    with load(bundle) as session:
        library = lay_out(session, {"image": images}, 3)
        assert (library.batched, library.each, library.stride) == (True, 3, 3)
        assert [feed["image"].shape for feed in library.feeds] == [(3, 3, 8, 8)] * 2
        assert np.array_equal(library.feeds[0]["image"], images[:3])
        assert np.array_equal(library.feeds[1]["image"], images[[3, 0, 1]])  # four samples, taken in turn
        assert len(library.trial_ns) == session.stats().calls == 1


def test_one_sample_at_a_time_is_no_batch(bundle, images):
    with load(bundle) as session:
        library = lay_out(session, {"image": images}, 1)
        assert (library.batched, library.each, len(library.feeds)) == (False, 1, 4)
        assert len(library.trial_ns) == session.stats().calls == 0
        assert np.array_equal(library.feed(6)["image"], images[2:3])


def test_a_reshape_that_holds_a_batch_of_one_makes_samples_run_one_after_another(opens):
    shape = onnx.numpy_helper.from_array(np.array([2, 2]), "shape")
    with opens(helper.make_node("Reshape", ["x", "shape"], ["y"]), ["N", 4], [shape]) as session:
        library = lay_out(session, rows(5), 4)
        assert (library.batched, library.each, library.stride) == (False, 1, 1)
        assert library.trial_ns == ()  # it was refused


def test_an_output_without_the_batch_makes_samples_run_one_after_another(opens):
    with opens(helper.make_node("ReduceSum", ["x"], ["y"], keepdims=1), ["N", 4]) as session:
        assert not lay_out(session, rows(5), 4).batched


def test_a_fixed_batch_is_one_of_loadgens_samples(opens):
    with opens(helper.make_node("Neg", ["x"], ["y"]), [2, 4]) as session:
        library = lay_out(session, rows(6), 4)
        assert (library.batched, library.each, library.stride, len(library.feeds)) == (False, 2, 1, 3)
        with pytest.raises(UsageError, match="batch is fixed at 2, and 3 samples are not a multiple"):
            lay_out(session, rows(6), 3)


@pytest.mark.parametrize("shape", [["N", 4], [1, 4]], ids=["joined", "one after another"])
def test_more_samples_than_fit_into_memory_are_refused_at_once(opens, shape):
    with (
        opens(helper.make_node("Neg", ["x"], ["y"]), shape) as session,
        pytest.raises(
            UsageError, match=r"^1,000,000,000,000 samples that arrive together take [\d,.]+ GiB, and .*--batch"
        ),
    ):
        lay_out(session, rows(5), 10**12)


def test_no_samples_are_refused(bundle, images):
    with load(bundle) as session, pytest.raises(UsageError, match="no samples"):
        lay_out(session, {"image": images[:0]}, 2)
