"""The real runtimes on emulated Raspberry Pis, by a system that `edgewright targets setup` downloaded."""

from __future__ import annotations

import os
from pathlib import Path

import emulated_haswell
import numpy as np
import pytest

from hwbench.machine import device_profiles
from hwbench.measurements import interleaved
from hwbench.results.golden_replay import replay_on
from hwbench.targets.emulated import EmulatedTarget, open_emulated
from runtimes import npz


@pytest.fixture(params=["rpi4", "rpi5"])
def pi(request, monkeypatch) -> EmulatedTarget:
    if not os.environ.get("EDGEWRIGHT_TEST_SYSROOTS"):
        pytest.skip("the emulated system is a download; make test-emulated runs this test")
    monkeypatch.delenv("EDGEWRIGHT_CACHE")  # the user's own, where the command made it
    return open_emulated(device_profiles.load(request.param))


def test_golden_samples_are_replayed(pi, bundle):
    assert replay_on(bundle, pi).passed


def test_products_do_not_saturate(pi, tmp_path):
    bundle: Path = emulated_haswell.saturating_bundle(tmp_path / "product", pi.profile)
    npz.write(tmp_path / "inputs.npz", {"x": np.array([[255, 255]], np.uint8)})
    assert interleaved.outputs(bundle, tmp_path / "inputs.npz", pi)["y"].tolist() == [[64770]]
