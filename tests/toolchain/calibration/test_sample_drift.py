"""Evaluation samples of another kind than the calibration samples are warned of, and those of the same kind are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import tiny_models
from sample_sets import in_memory

from hwbench.data.dataset import Dataset
from runtimes.tensors import Array, TensorSpec
from toolchain.calibration.sample_drift import SampleDrift, drift_warning, sample_drift
from toolchain.models.onnx_model import open_model
from toolchain.models.prepare import prepare

IMAGE = TensorSpec("image", "float32", ("N", 3, 8, 8))
TENSORS = ("image", "r", "p")


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> ir.Model:
    return prepare(open_model(tiny_models.conv(tmp_path_factory.mktemp("conv") / "conv.onnx")))


def pictures(rng: np.random.Generator, n: int) -> Array:
    """Pictures that differ in brightness and contrast, so that the values of each are alike."""
    return rng.normal(size=(n, 3, 8, 8)) * np.exp(rng.normal(size=(n, 1, 1, 1)) / 2) + rng.normal(size=(n, 1, 1, 1))


def dataset(images: Array) -> Dataset:
    return in_memory([IMAGE], {"image": images.astype(np.float32)})


def warned(graph: ir.Model, calibration: Array, evaluation: Array) -> str:
    found = sample_drift(graph, TENSORS, dataset(calibration), dataset(evaluation))
    return "".join(drift_warning(found, ["image"]))


@pytest.mark.parametrize(("n", "m"), [(64, 32), (300, 100), (8, 8), (4, 32), (1, 32), (32, 1), (1, 1)])
def test_samples_of_one_population_draw_no_warning(graph: ir.Model, n: int, m: int) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        assert warned(graph, pictures(rng, n), pictures(rng, m)) == ""


@pytest.mark.parametrize("n", [4, 32, 300])
@pytest.mark.parametrize(
    "change",
    [
        lambda images: images * 255,
        lambda images: images + 6,
        lambda images: images / 20,
        lambda images: np.abs(images) * 4,
    ],
    ids=["scaled", "shifted", "darker", "of another domain"],
)
def test_samples_of_another_population_are_warned_of_by_the_inputs_name(
    graph: ir.Model, n: int, change: Callable[[Array], Array]
) -> None:
    rng = np.random.default_rng(0)
    found = warned(graph, pictures(rng, n), change(pictures(rng, 32)))
    assert "'image' (" in found
    assert found.endswith("is the calibration data of the same kind?")


def test_the_share_beyond_the_range_is_that_of_the_values(graph: ir.Model) -> None:
    rng = np.random.default_rng(0)
    evaluation = rng.uniform(0, 1, (32, 3, 8, 8))
    evaluation[:, :, :2] += 1.5  # a quarter of each picture
    first, *_ = sample_drift(graph, TENSORS, dataset(rng.uniform(0, 1, (32, 3, 8, 8))), dataset(evaluation))
    assert (first.tensor, first.leaves_range) == ("image", True)
    assert first.saturated == pytest.approx(0.25, abs=0.01)


def test_few_values_beyond_the_range_are_no_matter(graph: ir.Model) -> None:
    rng = np.random.default_rng(0)
    evaluation = rng.uniform(0, 1, (32, 3, 8, 8))
    evaluation[:, 0, 0, 0] = 1.1  # one of 192
    first, *_ = sample_drift(graph, TENSORS, dataset(rng.uniform(0, 1, (32, 3, 8, 8))), dataset(evaluation))
    assert 0 < first.saturated < 0.01
    assert not first.leaves_range


def test_labels_and_the_order_of_samples_do_not_matter(graph: ir.Model) -> None:
    rng = np.random.default_rng(0)
    images = np.sort(pictures(rng, 400), axis=0)  # from dark to light
    assert warned(graph, images[::2], images[1::2]) == ""


def test_a_slow_model_is_compared_on_fewer_samples(graph: ir.Model) -> None:
    rng = np.random.default_rng(0)
    sets = dataset(pictures(rng, 64)), dataset(255 * pictures(rng, 32))
    few = sample_drift(graph, TENSORS, *sets, longest_s=0)  # one sample of each proves nothing
    assert few[0].saturated > 0.5
    assert drift_warning(few, ["image"]) == ()
    assert drift_warning(sample_drift(graph, TENSORS, *sets), ["image"])


def test_a_batch_that_the_model_fixes_counts_once(tmp_path: Path) -> None:
    model = open_model(tiny_models.fixed_batch(tmp_path / "fixed.onnx"))
    rng = np.random.default_rng(0)
    sets = [in_memory(model.inputs, {"x": (rng.normal(size=(80, 3)) + at).astype(np.float32)}) for at in (0, 9)]
    first, second = sample_drift(prepare(model), ("x", "y"), *sets)
    assert first.leaves_range
    assert first.is_shifted
    assert second.saturated == 1


def test_a_tensor_that_one_set_never_reaches_is_left_out(tmp_path: Path) -> None:
    model = open_model(tiny_models.control_flow(tmp_path / "branches.onnx"))
    rng = np.random.default_rng(0)
    positive = np.abs(rng.normal(size=(16, 4))).astype(np.float32)
    sets = [in_memory(model.inputs, {"x": values}) for values in (positive, -positive)]
    assert [one.tensor for one in sample_drift(prepare(model), ("x", "t", "m"), *sets)] == ["x"]
    assert sample_drift(prepare(model), ("t",), *sets) == ()


def test_the_warning_names_inputs_first_and_then_the_worst() -> None:
    assert drift_warning([SampleDrift("x", 0.5, 3.0, False, False)], []) == ()
    leaving = [SampleDrift(name, share, 0.1, True, False) for name, share in (("a", 0.2), ("b", 0.9), ("x", 0.12))]
    (told,) = drift_warning(leaving, ["x"])
    assert "leave the calibrated range of 'x' (12% of its values), 'b' (90%) and 1 more:" in told
    assert "index" not in told
    (told,) = drift_warning([SampleDrift("x", 0.0, 1.23, False, True)], ["x"])
    assert "'x' (population stability index 1.2; more than 0.25" in told
