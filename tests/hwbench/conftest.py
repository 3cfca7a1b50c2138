"""Fixtures for hwbench: reports from a seeded generator, a linear model's bundle, a target that runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwbench.machine.gpu_timing import GpuTimes
from hwbench.machine.identity import Machine, this_machine
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.latency import Latency
from hwbench.measurements.report import Report
from runtimes import cpu
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.profile import Cpu, HardwareProfile, Memory
from runtimes.sampling.closed_loop import Block
from runtimes.tensorrt.engine_session import DeviceTimes
from runtimes.tensors import TensorSpec
from toolchain.packaging.pack import Contents, pack
from toolchain.recipes.recipe import Recipe

WEIGHTS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], np.float32)

MakeBlock = Callable[..., Block]
MakeLatency = Callable[..., Latency]
MakeReport = Callable[..., Report]
PackLinear = Callable[..., Path]


@pytest.fixture(scope="session")
def machine() -> Machine:
    return Machine(
        arch="x86_64",
        cpu="Some CPU",
        isa=("avx2", "fma"),
        cores=4,
        memory_bytes=16 * 2**30,
        system="Linux 6.1.0",
        python="3.12.1",
        caches_bytes={"L1d": 32768},
    )


@pytest.fixture(scope="session")
def make_block() -> MakeBlock:
    def make(
        samples_ms: Sequence[float], settled: bool = True, load_ms: float = 40, peak_bytes: int | None = 10**8
    ) -> Block:
        return Block(
            samples_ns=tuple(int(sample * 1e6) for sample in samples_ms),
            warmup_ns=(2_000_000,),
            settled=settled,
            load_ns=int(load_ms * 1e6),
            cpu_ns=1,
            preemptions=0,
            idle_memory_bytes=None,
            peak_memory_bytes=peak_bytes,
        )

    return make


@pytest.fixture(scope="session")
def make_latency(make_block: MakeBlock) -> MakeLatency:
    """Log-normal latency, its samples distinct."""

    def make(median_ms: float = 10, runs: int = 60, blocks: int = 6, seed: int = 0) -> Latency:
        rng = np.random.default_rng(seed)
        made = [
            make_block(median_ms * rng.lognormal(0, 0.05, runs), load_ms=40 + n, peak_bytes=10**8 + n)
            for n in range(blocks)
        ]
        return Latency("single_stream", 1, 1, tuple(made))

    return make


@pytest.fixture(scope="session")
def make_report(machine: Machine, make_latency: MakeLatency) -> MakeReport:
    """A report with every figure; 100 samples, `right` of them right, the source's 98 right."""

    def make(right: int = 97, size_bytes: int = 4_000_000, **changes: object) -> Report:
        reference = Accuracy("top1", True, 100, 0.98, scores=(1.0,) * 98 + (0.0,) * 2, proportion=True)
        scores = (1.0,) * right + (0.0,) * (100 - right)
        artifact = Artifact(
            file=Path("model.onnx"),
            runtime="onnxruntime",
            precision="int8",
            inputs=(TensorSpec("x", "float32", ("N", 4)),),
            outputs=(TensorSpec("y", "float32", ("N", 3)),),
            settings=RuntimeSettings(),
            source_sha256="00",
            size_bytes=size_bytes,
            tool_versions={"onnx": "1"},
        )
        fields: dict[str, object] = {
            "model": "linear",
            "profile": "device",
            "artifact": artifact,
            "machine": machine,
            "latency": make_latency(),
            "accuracy": Accuracy("top1", True, 100, right / 100, scores=scores, proportion=True, reference=reference),
        }
        return Report(**{**fields, **changes})  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def local_profile() -> HardwareProfile:
    """A device that whatever machine runs the tests is one of."""
    return HardwareProfile(
        name="here",
        title="the machine that runs the tests",
        arch=cpu.arch(),  # type: ignore[arg-type]
        threads=1,
        runtimes=("onnxruntime",),
        precisions={"onnxruntime": ("fp32",)},
        quantization={},
        cpu=Cpu("any"),
        memory=Memory(1, 1),
    )


@pytest.fixture(scope="session")
def linear_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """y = x @ WEIGHTS, x of shape [N, 4]."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(WEIGHTS, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path_factory.mktemp("linear") / "linear.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def pack_linear(linear_model: Path, local_profile: HardwareProfile) -> PackLinear:
    """Packs the linear model, or other bytes in its place, as a bundle with two golden samples."""

    def make(
        path: Path,
        model: bytes | None = None,
        profile: HardwareProfile = local_profile,
        report: str | None = None,
        golden: int = 2,
        options: Mapping[str, str] = {},
    ) -> Path:
        file = path.with_suffix(".onnx")
        file.write_bytes(linear_model.read_bytes() if model is None else model)
        artifact = Artifact(
            file=file,
            runtime="onnxruntime",
            precision="fp32",
            inputs=(TensorSpec("x", "float32", ("N", 4)),),
            outputs=(TensorSpec("y", "float32", ("N", 3)),),
            settings=RuntimeSettings(threads=1, options=options),
            source_sha256="00",
            size_bytes=file.stat().st_size,
            tool_versions={},
        )
        x = np.arange(4 * golden, dtype=np.float32).reshape(golden, 4)
        inputs, outputs = ({"x": x}, {"y": x @ WEIGHTS}) if golden else ({}, {})
        pack(Contents("linear", profile, artifact, Recipe("fp32"), inputs, outputs, report), path)
        return path

    return make


class FakeTarget:
    """Runs nothing: multiplies by the linear model's weights, gives a block, and records every call.

    Attributes:
        calls: ("run", "sample" or "gpu_times", bundle, inputs).
        times: what a GPU's times are, or what to raise in their place.
        failures: what to raise from the nth sample (from 1) of a bundle on, by its path.
    """

    def __init__(self, block: Block) -> None:
        self.block = block
        self.calls: list[tuple[str, Path, Path]] = []
        self.times: GpuTimes | Exception = GpuTimes((DeviceTimes(0.1, 2.0, 0.2, 0.05),), cuda_graph=True)
        self.failures: dict[Path, tuple[int, Exception]] = {}

    @property
    def machine(self) -> Machine:
        return this_machine()

    def run(self, bundle: Path, inputs: Path, outputs: Path) -> None:
        self.calls.append(("run", bundle, inputs))
        with np.load(inputs) as archive:
            np.savez(outputs, y=archive["x"] @ WEIGHTS)

    def sample(self, bundle: Path, inputs: Path, plan: object) -> Block:
        self.calls.append(("sample", bundle, inputs))
        turn, error = self.failures.get(bundle, (0, None))
        if error is not None and len([call for call in self.calls if call[:2] == ("sample", bundle)]) >= turn:
            raise error
        return self.block

    def gpu_times(self, bundle: Path, inputs: Path) -> GpuTimes:
        self.calls.append(("gpu_times", bundle, inputs))
        if isinstance(self.times, Exception):
            raise self.times
        return self.times


@pytest.fixture
def fake_target(make_block: MakeBlock) -> FakeTarget:
    return FakeTarget(make_block([1.0, 1.1, 1.2]))
