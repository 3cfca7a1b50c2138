"""The order of measuring, what drops out, and a real bundle in real processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwbench.data import dataset
from hwbench.measurements import interleaved
from hwbench.measurements.latency import Latency
from hwbench.targets.local import LocalTarget
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import BackendError, UsageError
from runtimes.sampling.closed_loop import SamplingPlan
from runtimes.tensors import TensorSpec

PLAN = SamplingPlan(min_runs=20, duration_s=0.05)
WEIGHTS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], np.float32)
BUNDLES = {name: Path(f"{name}.edge") for name in "abc"}
INPUTS = {name: Path(f"{name}.npz") for name in "abc"}
SETTINGS = {name: RuntimeSettings(threads=threads) for name, threads in zip("abc", (1, 2, 4))}


def take(target, ticks=None, blocks=3):
    ticks = [] if ticks is None else ticks
    return interleaved.latency(BUNDLES, SETTINGS, INPUTS, target, PLAN, ticks.append, blocks)


def test_blocks_are_interleaved_each_bundle_with_its_own_inputs(fake_target):
    ticks: list[str] = []
    found = take(fake_target, ticks)
    assert fake_target.calls == [("sample", BUNDLES[name], INPUTS[name]) for name in "abcabcabc"]
    assert ticks == [f"measured {name}" for name in "abcabcabc"]
    for name, threads in zip("abc", (1, 2, 4)):
        assert found[name] == Latency("single_stream", 1, threads, (fake_target.block,) * 3)


def test_a_bundle_that_fails_drops_out_and_the_others_go_on(fake_target):
    fake_target.failures[BUNDLES["b"]] = (2, BackendError("no kernel for Conv"))
    ticks: list[str] = []
    found = take(fake_target, ticks)
    assert found["b"] == "no kernel for Conv"
    assert [path.stem for _, path, _ in fake_target.calls] == list("abcabcac")
    assert len(ticks) == 9  # a progress bar still comes to its end
    for name in "ac":
        assert isinstance(found[name], Latency)
        assert len(found[name].blocks) == 3


def test_a_failure_without_words_is_a_failure(fake_target):
    fake_target.failures[BUNDLES["a"]] = (2, BackendError(""))
    assert take(fake_target)["a"] == ""


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError()])
def test_what_is_no_error_of_ours_goes_through(fake_target, error):
    fake_target.failures[BUNDLES["a"]] = (1, error)
    with pytest.raises(type(error)):
        take(fake_target)


def test_enough_blocks_that_their_range_covers_the_median_process():
    assert 1 - 2 / 2**interleaved.BLOCKS >= 0.95


def test_nothing_to_measure_is_nothing_measured(fake_target):
    assert interleaved.latency({}, {}, {}, fake_target, PLAN, print) == {}
    assert fake_target.calls == []


@pytest.fixture
def samples(tmp_path):
    x = np.arange(20, dtype=np.float32).reshape(5, 4)
    np.savez(tmp_path / "samples.npz", x=x, labels=np.arange(5) % 3)
    return dataset.read(tmp_path / "samples.npz", [TensorSpec("x", "float32", ("N", 4))], labels=True)


def test_a_subset_is_the_rows_asked_for_in_a_file_of_its_own(samples, tmp_path):
    found = interleaved.subset(samples, [3, 1], tmp_path / "subset.npz")
    assert (found.n, found.file) == (2, tmp_path / "subset.npz")
    assert found.arrays["x"].tolist() == samples.arrays["x"][[3, 1]].tolist()
    assert found.labels is not None and found.labels.tolist() == [0, 1]
    again = dataset.read(found.file, [TensorSpec("x", "float32", ("N", 4))])
    assert again.arrays["x"][:].tolist() == found.arrays["x"].tolist()


def test_an_input_may_be_called_as_numpys_own_arguments(tmp_path):
    data = dataset.Dataset(tmp_path / "x", (), {"file": np.ones((2, 3))}, 2)
    assert interleaved.subset(data, [0], tmp_path / "subset.npz").labels is None
    with np.load(tmp_path / "subset.npz") as archive:
        assert archive.files == ["file"]


def test_outputs_of_a_real_bundle_come_samples_first(pack_linear, samples, tmp_path):
    found = interleaved.outputs(pack_linear(tmp_path / "linear.edge"), samples.file, LocalTarget())
    assert list(found) == ["y"]
    assert np.allclose(found["y"], samples.arrays["x"][:] @ WEIGHTS)


def test_outputs_that_a_target_left_damaged_are_refused(samples):
    class Careless:
        def run(self, bundle, inputs, outputs):
            outputs.write_bytes(b"half of it")

        def sample(self, bundle, inputs, plan):
            raise NotImplementedError

    with pytest.raises(UsageError, match=r"outputs\.npz' cannot be read"):
        interleaved.outputs(Path("a.edge"), samples.file, Careless())


def test_real_bundles_are_measured_and_a_broken_one_drops_out(pack_linear, samples, tmp_path):
    bundles = {
        "good": pack_linear(tmp_path / "good.edge"),
        "broken": pack_linear(tmp_path / "broken.edge", model=b"no model"),
    }
    settings, inputs = dict.fromkeys(bundles, RuntimeSettings(threads=1)), dict.fromkeys(bundles, samples.file)
    found = interleaved.latency(bundles, settings, inputs, LocalTarget(), PLAN, lambda word: None, blocks=2)
    good = found["good"]
    assert isinstance(good, Latency)
    assert [len(block.samples_ns) >= 20 for block in good.blocks] == [True, True]
    assert 0 < good.percentile(50).value < 1000
    assert good.load_ms.value > 0
    assert isinstance(found["broken"], str)
    assert "ONNX Runtime cannot load" in found["broken"]
