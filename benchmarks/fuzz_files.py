"""Fuzz targets of whole files that commands take: configuration, tables, reports, histories, caches and programs."""

from __future__ import annotations

import importlib.resources
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from torch import nn

from benchmarks.hammer import pack_layer
from hwbench.machine import device_profiles
from hwbench.results import history, profile_results
from runtimes.cache import Cache, seal
from runtimes.errors import UsageError
from runtimes.inference.highest_versions import highest_version, note_version
from toolchain.calibration import table
from toolchain.cli import _config_file
from toolchain.cli.build import command as build
from toolchain.exporters.saved_programs.check_script import check_script
from toolchain.exporters.saved_programs.read_program import read_program

_CONFIGURATION = b"""source = "layer.onnx"
input = ["x=float32[N,64]"]
precision = "fp32,int8"
budget = ["p90<=20ms", "accuracy_drop<=0.01"]
threads = 2
exhaustive = true
time-limit = "5m"
out = "out"
"""


def targets(work: Path) -> dict[str, tuple[Callable[[bytes], object], list[bytes]]]:
    """List the readers, with real files as seeds, which a build of a small model writes."""
    folder = work / "files"
    folder.mkdir()
    report = _build(folder)
    results = profile_results.from_json(report, "report.json")
    runs = folder / "runs.sqlite"
    with history.ensure_database(str(runs)):
        history.record(str(runs), results)
    note_version(folder / "versions.json", "layer-rpi5", 3)
    profile = importlib.resources.files("profiles").joinpath("rpi5.toml").read_bytes()
    context = click.Context(build)
    cache = Cache(folder / "cache")
    cache.put("key", b"value")
    (entry,) = (folder / "cache").iterdir()
    file = work / "y"

    def of_file(read: Callable[[Path], object]) -> Callable[[bytes], object]:
        def target(data: bytes) -> object:
            file.write_bytes(data)
            return read(file)

        return target

    def from_cache(data: bytes) -> None:
        entry.write_bytes(data)
        found = cache.get("key")
        if found is None:
            raise UsageError("made again")
        if data != seal("key", found):
            raise AssertionError(f"the entry {data!r} is taken for {found!r}")

    return {
        "profile, TOML": (
            lambda data: device_profiles.parse(data.decode("utf-8", "replace"), "rpi5.toml", "rpi5"),
            [profile],
        ),
        "configuration, TOML": (of_file(lambda path: _config_file.read(path, context)), [_CONFIGURATION]),
        "calibration table": (of_file(table.read), [(folder / "table.json").read_bytes()]),
        "report.json": (lambda data: profile_results.from_json(data, "report.json"), [report]),
        "history": (of_file(lambda path: history.read(str(path), "p90")), [runs.read_bytes()]),
        "cache entry": (from_cache, [seal("key", b"value"), seal("other", b"value"), seal("key", b"")]),
        "versions": (
            of_file(lambda path: highest_version(path, "layer-rpi5")),
            [(folder / "versions.json").read_bytes()],
        ),
        ".pt2 file": (of_file(_damaged_or_read(read_program)), [_program()]),
        "TorchScript file": (of_file(_damaged_or_read(_read_script)), [_script()]),
    }


def _build(folder: Path) -> bytes:
    pack_layer(folder, "N")
    np.savez(folder / "samples.npz", x=np.random.default_rng(0).standard_normal((16, 64)).astype(np.float32))
    source = [str(folder / "layer.onnx"), "--calibration", str(folder / "samples.npz")]
    quick = ["--runtime", "onnxruntime", "--precision", "fp32", "--exhaustive", "--duration", "0.05"]
    for arguments in (
        ["build", *source, *quick, "--out", str(folder / "out")],
        ["calibrate", *source, "--out", str(folder / "table.json")],
    ):
        command = [sys.executable, "-c", "from toolchain.cli import main; main()", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 3):  # inconclusive beside other work
            raise RuntimeError(done.stderr)
    return (folder / "out" / "report.json").read_bytes()


def _damaged_or_read(read: Callable[[Path], object]) -> Callable[[Path], object]:
    """Take every exception for a refusal, as the exporters do: PyTorch has one for each damage."""

    def target(path: Path) -> object:
        try:
            return read(path)
        except Exception as error:
            raise UsageError(str(error)) from None

    return target


def _read_script(path: Path) -> object:
    check_script(path)
    return torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]


def _program() -> bytes:
    program = torch.export.export(nn.Linear(4, 4), (torch.ones(3, 4),), dynamic_shapes=({0: torch.export.Dim("rows")},))
    torch.export.save(program, buffer := io.BytesIO())
    return buffer.getvalue()


def _script() -> bytes:
    torch.jit.save(torch.jit.trace(nn.Linear(4, 4), torch.ones(3, 4)), buffer := io.BytesIO())
    return buffer.getvalue()
