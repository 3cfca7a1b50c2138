"""A report warns of evaluation samples that int8 was not calibrated for."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_models
from sample_sets import in_memory

from hwbench.data.dataset import Dataset
from runtimes.errors import UsageError
from runtimes.profile import HardwareProfile
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.calibration.table import CalibrationTable
from toolchain.candidates.build_candidate import CandidateBuilder
from toolchain.graphs.value_range import Range
from toolchain.models.onnx_model import OnnxModel, open_model
from toolchain.pipeline.build import build
from toolchain.pipeline.report_notes import drift_notes
from toolchain.pipeline.request import BuildRequest
from toolchain.recipes.recipe import Recipe
from toolchain.search.time_limit import TimeLimit


def trials(precision: str = "int8") -> list[SimpleNamespace]:
    return [SimpleNamespace(candidate=SimpleNamespace(recipe=Recipe(precision)), artifact="made")]


@pytest.fixture
def model(tmp_path: Path) -> OnnxModel:
    return open_model(tiny_models.conv(tmp_path / "conv.onnx"))


@pytest.fixture
def samples(model: OnnxModel) -> Dataset:
    return in_memory(model.inputs, tiny_models.samples("conv", 16))


@pytest.fixture
def others(model: OnnxModel) -> Dataset:
    return in_memory(model.inputs, {"image": tiny_models.samples("conv", 16)["image"] * 9})


def context(builder: CandidateBuilder, scored: Dataset, clock: TimeLimit | None = None) -> SimpleNamespace:
    return SimpleNamespace(builder=builder, scorer=SimpleNamespace(samples=scored), clock=clock or TimeLimit())


def test_other_evaluation_samples_are_warned_of(
    model: OnnxModel, samples: Dataset, others: Dataset, tmp_path: Path
) -> None:
    builder = CandidateBuilder("conv", model, samples, tmp_path)
    (note,) = drift_notes(trials(), context(builder, others))
    assert "'image'" in note
    assert drift_notes(trials("int8-storage"), context(builder, others)) == ()  # it has no ranges
    assert drift_notes(trials(), context(builder, others, TimeLimit(stopped="Ctrl-C"))) == (note,)


def test_what_was_not_calibrated_on_samples_is_not_compared(
    model: OnnxModel, samples: Dataset, others: Dataset, tmp_path: Path
) -> None:
    assert CandidateBuilder("conv", model, None, tmp_path).drift(others, 1) == ()
    table = CalibrationTable("minmax", 1, {name: Range(0, 1) for name in ("image", "r", "f", "p")})
    assert CandidateBuilder("conv", model, samples, tmp_path, table).drift(others, 1) == ()
    of_integers = open_model(tiny_models.quantized(tmp_path / "quantized.onnx"))
    assert CandidateBuilder("quantized", of_integers, samples, tmp_path).drift(others, 1) == ()


def test_a_failure_is_a_note(
    model: OnnxModel, samples: Dataset, others: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = CandidateBuilder("conv", model, samples, tmp_path)

    def fail(evaluation: Dataset, longest_s: float) -> None:
        raise UsageError("no memory")

    monkeypatch.setattr(builder, "drift", fail)
    (note,) = drift_notes(trials(), context(builder, others))
    assert note.endswith("not compared with the calibration samples: no memory")
    scored = dataclasses.replace(samples, labels=np.zeros(16))  # parity is scored on the calibration samples themselves
    assert drift_notes(trials(), context(builder, scored)) == ()


def test_digits_are_alike(digits, tmp_path: Path) -> None:
    """No false alarm on the samples of a real build."""
    model = open_model(digits.onnx)
    sets = []
    for file in (digits.calibration, digits.evaluation):
        with np.load(file) as data:
            sets.append(in_memory(model.inputs, {"image": data["image"]}))
    builder = CandidateBuilder("digits", model, sets[0], tmp_path)
    assert drift_notes(trials(), context(builder, sets[1])) == ()


@pytest.mark.usefixtures("one_process")
def test_a_build_says_so(model: OnnxModel, device: HardwareProfile, short: SamplingPlan, tmp_path: Path) -> None:
    image = tiny_models.samples("conv", 32)["image"]
    np.savez(tmp_path / "calibration.npz", image=image)
    np.savez(tmp_path / "evaluation.npz", image=image * 9)
    files = {name: tmp_path / f"{name}.npz" for name in ("calibration", "evaluation")}
    chosen = {"precisions": ("int8",), "runtimes": ("onnxruntime",), "corrections": ()}
    request = BuildRequest(str(model.path), "conv", tmp_path, (device,), **files, **chosen, sampling=short)
    (found,) = build(request).profiles
    assert any("leave the calibrated range of 'image'" in caveat for caveat in found.caveats)
