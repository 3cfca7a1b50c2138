"""The demo's model and data, as it hands them to the pipeline."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwbench.machine import device_profiles
from hwbench.results import profile_results
from toolchain.cli import _demo_model as demo_model


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    ticks: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_model, "EPOCHS", 1)
        prepared = demo_model.prepare(tmp_path_factory.mktemp("demo"), ticks.append)
    assert ticks == ["epoch 1"]
    return prepared


def test_the_model_is_judged_on_digits_it_never_saw(files):
    with np.load(files.evaluation) as evaluation, np.load(files.calibration) as calibration:
        assert evaluation["image"].shape == (900, 1, 8, 8)
        assert np.bincount(evaluation["labels"]).min() > 70
        judged = {image.tobytes() for image in evaluation["image"]}
        assert not any(image.tobytes() in judged for image in calibration["image"])


def test_the_program_takes_any_batch_and_has_learned_something(files):
    program = torch.export.load(files.program).module()
    with np.load(files.evaluation) as evaluation:
        scores = program(torch.from_numpy(evaluation["image"])).detach().numpy()
        assert (scores.argmax(1) == evaluation["labels"]).mean() > 0.2


def test_the_command_asks_for_every_precision_on_this_machine(cli, files, device, tmp_path, monkeypatch, temp_folder):
    asked = []

    def build(request):
        asked.append(request)
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_model, "prepare", lambda folder, tick: files)
    monkeypatch.setattr(device_profiles, "detect", lambda machine: device)
    monkeypatch.setattr("toolchain.pipeline.build.build", build)
    ran = cli("demo", "--out", tmp_path / "out")
    assert ran.code == 130
    assert not (tmp_path / "out").exists()
    (request,) = asked
    assert (request.precisions, request.runtimes) == ((), ())
    assert request.profiles == (device,)
    assert request.metrics == ("top1",)
    assert {limit.quantity for limit in request.budgets} == {"p90", "accuracy_drop"}


def test_the_command_prints_what_the_pipeline_found(cli, files, device, built, tmp_path, monkeypatch):
    results = profile_results.from_json((built / "report.json").read_text(), "report.json")
    monkeypatch.setattr(demo_model, "prepare", lambda folder, tick: files)
    monkeypatch.setattr(device_profiles, "detect", lambda machine: device)
    monkeypatch.setattr("toolchain.pipeline.build.build", lambda request: results)
    ran = cli("demo", "--out", tmp_path / "out")
    assert ran.code == 0
    assert ran.out.splitlines()[-2:] == [
        f"Bundle: {built / 'digits-bench.edge'}",
        f"Report: {tmp_path / 'out' / 'report.html'}",
    ]
