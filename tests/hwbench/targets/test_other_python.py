"""Another interpreter as a target: it measures by our code, and finds its own packages alone."""

from __future__ import annotations

import os
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from hwbench.targets.other_python import OtherPython
from runtimes.errors import BackendError
from runtimes.sampling.closed_loop import SamplingPlan


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Path:
    """An environment without a package."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    return folder / "bin" / "python"


def write(images, folder: Path) -> Path:
    file = folder / "inputs.npz"
    np.savez(file, image=images)
    return file


def test_a_bundle_is_measured_and_run_by_another_interpreter(bundle, images, tmp_path):
    target, inputs = OtherPython(python=Path(sys.executable)), write(images, tmp_path)
    block = target.sample(bundle, inputs, SamplingPlan(min_runs=5, max_runs=5, warmup_limit_s=0.1))
    assert len(block.samples_ns) == 5
    assert block.environment["numpy"] == np.__version__
    target.run(bundle, inputs, tmp_path / "outputs.npz")
    with np.load(tmp_path / "outputs.npz") as outputs:
        assert outputs["scores"].shape == (4, 5)


@pytest.mark.parametrize(
    ("name", "value"), [("PYTHONPATH", os.pathsep.join(sys.path)), ("PYTHONSAFEPATH", "1")], ids=["path", "safe path"]
)
def test_packages_of_this_environment_are_not_lent_but_our_code_is(
    bare, bundle, images, tmp_path, monkeypatch, name, value
):
    monkeypatch.setenv(name, value)
    with pytest.raises(BackendError, match="numpy"):
        OtherPython(python=bare).run(bundle, write(images, tmp_path), tmp_path / "outputs.npz")


def test_times_on_a_gpu_are_measured_by_it_too(bare, bundle, images, tmp_path):
    inputs = write(images, tmp_path)
    times = OtherPython(python=Path(sys.executable)).gpu_times(bundle, inputs)
    assert (times.samples, times.cuda_graph) == ((), False)  # a model on the processor has no parts
    with pytest.raises(BackendError, match="numpy"):
        OtherPython(python=bare).gpu_times(bundle, inputs)
