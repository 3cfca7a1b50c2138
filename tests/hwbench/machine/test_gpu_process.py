"""The process that times a bundle on a GPU, with the fakes of a GPU and of TensorRT."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import fake_tensorrt
import numpy as np
import pytest
from fake_cuda import FakeMemory
from onnx import parser

from hwbench.machine import gpu_process
from hwbench.machine.gpu_timing import GpuTimes
from runtimes import npz
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.codec import decode
from runtimes.errors import UnsupportedError
from runtimes.tensorrt.engine_session import EngineSession
from toolchain.builders import onnxruntime as builder
from toolchain.models.onnx_model import open_model
from toolchain.recipes.recipe import Recipe


class _Module:
    """A namespace that can be a key, as modules can."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.__dict__.update(names)


@pytest.fixture
def memory() -> FakeMemory:
    return FakeMemory()


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    """y = 2 x of a fixed shape."""
    text = '<ir_version: 8, opset_import: ["" : 17]> fixed (float[2,3] x) => (float[2,3] y) { y = Add(x, x) }'
    file = tmp_path / "fixed.onnx"
    file.write_bytes(parser.parse_model(text).SerializeToString())
    return builder.build(open_model(file), Recipe("fp32"), RuntimeSettings(), tmp_path)


@pytest.fixture
def time_parts(tmp_path, monkeypatch, artifact, memory):
    """Times the engine with options; returns the exit code and what was written."""
    trt = _Module(vars(fake_tensorrt.make(memory)))
    npz.write(tmp_path / "inputs.npz", {"x": np.ones((4, 2, 3), np.float32)})
    out = tmp_path / "times.json"

    def run(error: Exception | None = None, **options: str):
        def load(bundle: Path, *, any_machine: bool) -> EngineSession:
            assert any_machine
            if error is not None:
                raise error
            settings = RuntimeSettings(options=options)
            model = b"[]\n" + artifact.file.read_bytes()
            return EngineSession(dataclasses.replace(artifact, settings=settings), trt, model, memory)

        monkeypatch.setattr(gpu_process, "load", load)
        code = gpu_process.main(["model.edge", "--inputs", str(tmp_path / "inputs.npz"), "--out", str(out)])
        return code, decode(GpuTimes, json.loads(out.read_text()), "times") if out.exists() else None

    return run


@pytest.mark.parametrize(("options", "is_graph"), [({}, True), ({"cuda_graph": "off"}, False)])
def test_every_part_of_every_run_is_written(time_parts, memory, options, is_graph):
    code, times = time_parts(**options)
    assert code == 0
    assert times.cuda_graph is is_graph
    assert len(times.samples) == 200
    for part in ("h2d", "compute", "d2h", "enqueue"):
        assert (times.of(part) > 0).all()
    assert not memory.live  # the engine gave everything back


def test_an_engine_that_cannot_be_opened_is_one_sentence(time_parts, capsys):
    code, times = time_parts(UnsupportedError("There is no NVIDIA GPU to run on."))
    assert (code, times) == (2, None)
    assert "There is no NVIDIA GPU to run on." in capsys.readouterr().err
