"""A digit classifier trained once, this machine as a profile, and a build of the two."""

from __future__ import annotations

import dataclasses
import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import known_peaks
import numpy as np
import pytest
import torch
from arithmetic import saturates
from leftovers import leftovers
from sklearn.datasets import load_digits
from torch import nn
from torch.onnx._internal.exporter import _registration

from hwbench.machine import device_profiles
from runtimes import cpu
from runtimes.profile import HardwareProfile, QuantizationScheme
from runtimes.sampling.closed_loop import SamplingPlan
from runtimes.tensors import Array
from toolchain.cli import main
from toolchain.pipeline.request import BuildRequest

_EVALUATION = 600

torch.set_num_threads(1)  # as in child processes: see tests/conftest.py


@dataclass(frozen=True)
class Digits:
    """Files as a user would have them."""

    folder: Path
    program: Path
    onnx: Path
    calibration: Path
    evaluation: Path


@dataclass(frozen=True)
class Ran:
    """Outcome of a command."""

    code: int
    out: str
    err: str


Cli = Callable[..., Ran]


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Calibration tables of these tests, and none of an earlier run; peaks that no test waits for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEWRIGHT_CACHE", str(tmp_path_factory.mktemp("cache")))
        known_peaks.remember()
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_registry() -> Iterator[None]:
    """torch's translations to ONNX, listed once: it lists them anew in each export, for 0.4 s, and changes none."""
    registry = _registration.ONNXRegistry
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "from_torchlib", staticmethod(functools.lru_cache(registry.from_torchlib)))
        yield


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    """A small CNN on scikit-learn's digits: seconds of training, 9 of 10 right on digits it never saw."""
    folder = tmp_path_factory.mktemp("digits")
    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    images, labels = (bunch.images[order, None] / 16).astype(np.float32), bunch.target[order]
    model = _train(images[_EVALUATION:], labels[_EVALUATION:])
    files = Digits(
        folder, folder / "digits.pt2", folder / "digits.onnx", folder / "calibration.npz", folder / "evaluation.npz"
    )
    example = (torch.zeros(2, 1, 8, 8),)
    program = torch.export.export(model, example, dynamic_shapes=({0: torch.export.Dim("N")},))
    torch.export.save(program, files.program)
    exported = torch.onnx.export(program, example, dynamo=True, input_names=["image"], verbose=False)
    assert exported is not None
    exported.save(str(files.onnx))
    np.savez(files.calibration, image=images[_EVALUATION:][:64])
    np.savez(files.evaluation, image=images[:_EVALUATION], labels=labels[:_EVALUATION])
    return files


def _train(images: Array, labels: Array) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    for _ in range(4):
        for rows in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return model.eval()


@pytest.fixture(scope="session")
def cpu_scheme() -> QuantizationScheme:
    """The int8 that ONNX Runtime's kernels compute without saturating on the CPU that really runs the tests."""
    return QuantizationScheme("uint8", reduce_range=saturates(), contrib_ops=True)


@pytest.fixture(scope="session")
def device_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile that every machine fits, with a runtime that computes nothing beside the one that does."""
    path = tmp_path_factory.mktemp("profiles") / "bench.toml"
    path.write_text(
        dedent(f"""
        name = "bench"
        title = "whatever runs the tests"
        arch = "{cpu.arch()}"
        threads = 1
        runtimes = ["onnxruntime", "null"]

        [precisions]
        onnxruntime = ["fp32", "int8"]
        null = ["fp32", "int8"]

        [quantization.onnxruntime]
        reduce_range = true

        [cpu]
        model = "any"

        [memory]
        capacity_gb = 1
        bandwidth_gb_per_s = 1
        """)
    )
    return path


@pytest.fixture(scope="session")
def device(device_file: Path) -> HardwareProfile:
    return device_profiles.read(device_file)


@pytest.fixture(scope="session")
def elsewhere() -> HardwareProfile:
    """A device that is not here: a board, or for tests on an ARM machine a PC."""
    return device_profiles.load("rpi5" if cpu.arch() != "aarch64" else "x86-64-v3-avx2")


@pytest.fixture(scope="session")
def built(digits: Digits, device_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that one `edgewright build` of the digits wrote; tests that change it copy it."""
    out = tmp_path_factory.mktemp("built")
    done = edgewright(
        *("build", digits.onnx, "--profile", device_file, "--runtime", "onnxruntime", "--out", out),
        *("--calibration", digits.calibration, "--evaluation", digits.evaluation, "--duration", "0.05"),
        *(
            "--precision",
            "fp32",
            "--precision",
            "int8",
            "--budget",
            "p90<=1s",
            "--budget",
            "accuracy_drop<=0.05",
            "--exhaustive",
        ),
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def built_bundle(built: Path) -> Path:
    return built / "digits-bench.edge"


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    """Runs the command line in this process."""

    def run(*arguments: object) -> Ran:
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert isinstance(exit_.value.code, int)
        return Ran(exit_.value.code, out, err)

    return run


@pytest.fixture
def temp_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folder for temporary files during the test. It must be empty afterwards, whatever happened.

    See `leftovers` for what does not count.
    """
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield folder
    assert leftovers(folder) == []


def edgewright(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-c", "from toolchain.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="session")
def short() -> SamplingPlan:
    """For tests that measure something, whatever it comes to."""
    return SamplingPlan(min_runs=60, duration_s=0.01, warmup_limit_s=0.1, time_limit_s=2.0)


@pytest.fixture
def request_for(tmp_path, elsewhere, temp_folder, short):
    """A request for a device that is not here, so that nothing is timed; nothing temporary may outlive the build."""

    def make(source, **changes) -> BuildRequest:
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        base = BuildRequest(
            str(source),
            "net",
            out,
            (elsewhere,),
            runtimes=("onnxruntime",),
            precisions=("fp32",),
            sampling=short,
            exhaustive=True,
        )
        return dataclasses.replace(base, **changes)

    return make


@pytest.fixture
def digits_request(request_for, digits):
    def make(source=digits.onnx, **changes) -> BuildRequest:
        data = {"calibration": digits.calibration, "evaluation": digits.evaluation, "name": "digits"}
        return request_for(source, **{**data, **changes})

    return make
