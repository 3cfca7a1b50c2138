"""The real runtimes on an emulated CPU without VNNI, which computes as such a CPU does."""

from __future__ import annotations

import dataclasses

import emulated_haswell
import numpy as np
import pytest

from hwbench.machine import device_profiles
from hwbench.measurements import interleaved
from hwbench.results.golden_replay import replay_on
from hwbench.targets.emulated import EmulatedTarget
from runtimes import npz
from runtimes.errors import UnsupportedError
from toolchain.packaging.pack import pack


@pytest.fixture(scope="module")
def haswell() -> EmulatedTarget:
    return emulated_haswell.device()


def test_products_saturate_as_they_do_on_such_a_cpu(haswell, tmp_path):
    bundle = emulated_haswell.saturating_bundle(tmp_path / "product", haswell.profile)
    npz.write(tmp_path / "inputs.npz", {"x": np.array([[255, 255], [100, 0]], np.uint8)})
    assert interleaved.outputs(bundle, tmp_path / "inputs.npz", haswell)["y"].tolist() == [[32767], [12700]]
    test = replay_on(bundle, haswell)
    assert not test.passed
    assert test.results[0].error == pytest.approx(1 - 32767 / 64770)


def test_golden_samples_are_replayed(haswell, bundle):
    test = replay_on(bundle, haswell)
    assert test.passed
    assert test.results[0].output == "scores"


def test_another_runtime_is_refused(contents, tmp_path):
    artifact = dataclasses.replace(contents.artifact, runtime="null")
    pack(dataclasses.replace(contents, artifact=artifact), tmp_path / "null.edge")
    device = EmulatedTarget(device_profiles.load("rpi5"), None)
    with pytest.raises(UnsupportedError, match="is for null, and emulated devices run ONNX Runtime"):
        device.run(tmp_path / "null.edge", tmp_path / "inputs.npz", tmp_path / "outputs.npz")
