"""Boards of a rack as places: a real scheduler and workers, one of which is killed in the middle."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

from dask_rack import Rack as Processes
from sleeping_boards import build_slowly

from hwbench.machine import device_profiles
from hwbench.rack.scheduler import connect
from hwbench.rack.scheduler_address import parse_scheduler
from hwbench.results import profile_results
from runtimes.errors import UnsupportedError, UsageError
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.sweep.cells import list_cells
from toolchain.sweep.rack import Rack, check_sendable
from toolchain.sweep.run_cells import run_cells


@pytest.fixture(scope="module")
def sleeping(tmp_path_factory) -> Path:
    """Where the boards note what they work on; a file `go` ends their sleep."""
    folder = tmp_path_factory.mktemp("sleeping")
    (folder / "seconds").write_text("60")
    return folder


@pytest.fixture(scope="module")
def processes(tmp_path_factory, sleeping):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEWRIGHT_SLEEPING", str(sleeping))
        folder = tmp_path_factory.mktemp("rack")
        processes = Processes(folder)
        with contextlib.closing(processes):
            yield processes


@pytest.fixture
def boards(processes, here, sleeping, tmp_path, monkeypatch):
    """Starts boards of this machine's kind, each as if it were a machine of its own."""

    def start(*names: str) -> None:
        for name in names:
            (tmp_path / name).mkdir(exist_ok=True)
            monkeypatch.setenv("TMPDIR", str(tmp_path / name))
            processes.join(name, **{here.name: 1})
        monkeypatch.delenv("TMPDIR")

    yield start
    for name, worker in list(processes.workers.items()):
        if worker.poll() is None:
            processes.kill(name)


def sweep(processes, cells, work, out, now=lambda: None):
    """Run cells on the rack, and call a function every half second."""
    records = {}

    def finish(cell, record, made):
        records[cell.name] = record
        if made is not None:
            (out / cell.name).mkdir(parents=True)
            for file in made.iterdir():
                file.rename(out / cell.name / file.name)

    wanted = {cell.profile.name: cell.profile for cell in cells}
    with connect(parse_scheduler(processes.target)) as client:
        rack = Rack(client, processes.target, wanted, work)

        def places():
            now()
            return rack.join()

        run_cells([(cell, "key") for cell in cells], places, out.parent, finish, return_s=5.0)
    return records


def test_a_cell_of_a_board_that_dies_is_built_by_another(
    processes, boards, sleeping, request_of, empty_report, tmp_path
):
    boards("a", "b")
    empty_report(sleeping / "report.json")
    cells = list_cells([request_of(precisions=("fp32", "fp16", "bf16"))])
    killed: list[str] = []

    def kill_the_first():
        working = {file.suffix[1:] for file in sleeping.glob("tiny-*")}
        if len(working) == 2 and not killed:
            killed.append(next(name for name, worker in processes.workers.items() if str(worker.pid) in working))
            processes.kill(killed[0])
            (sleeping / "go").touch()

    records = sweep(processes, cells, build_slowly, tmp_path / "out", kill_the_first)
    (other,) = {"a", "b"} - set(killed)
    assert [(record.status, record.place) for record in records.values()] == [("built", other)] * 3
    (losses,) = [record.losses for record in records.values() if record.losses]
    assert losses == (f"The board {killed[0]} was lost: its worker left the scheduler.",)
    assert {file.name for file in (tmp_path / "out").rglob("*.json")} == {"report.json"}


@pytest.mark.parametrize("can_build", [True, False], ids=["built-there", "measured-there"])
def test_a_board_builds_a_cell_or_measures_what_is_built_here(
    processes, boards, request_of, images, tmp_path, monkeypatch, can_build
):
    boards("real")
    if not can_build:
        from hwbench.rack import boards as of_rack

        describe = of_rack.Board.describe
        monkeypatch.setattr(
            of_rack.Board, "describe", lambda board: dataclasses.replace(describe(board), can_build=False)
        )
    np.savez(tmp_path / "images.npz", image=images)
    short = SamplingPlan(min_runs=3, max_runs=3, duration_s=0.01, warmup_limit_s=0.05)
    (cell,) = list_cells(
        [
            request_of(
                calibration=tmp_path / "images.npz",
                runtimes=("onnxruntime",),
                precisions=("fp32",),
                sampling=short,
                exhaustive=True,
            )
        ]
    )
    (record,) = sweep(processes, [cell], None, tmp_path / "out").values()
    assert (record.status, record.reason, record.place) == ("built", "", "real")
    (report,) = (tmp_path / "out").rglob("report.json")
    (result,) = profile_results.from_json(report.read_bytes(), "report.json").profiles
    assert result.selected.report.latency is not None
    assert (report.parent / f"tiny-{cell.profile.name}.edge").exists()


def test_a_board_that_is_not_what_it_says_is_refused(processes, boards, request_of, here):
    processes.join("false", rpi5=1)
    (cell, _) = list_cells([request_of(profiles=(device_profiles.load("rpi5"),))])
    with connect(parse_scheduler(processes.target)) as client:
        rack = Rack(client, processes.target, {"rpi5": cell.profile})
        with pytest.raises(UnsupportedError, match=r"The board false .* offers 'rpi5' and is no Raspberry Pi 5"):
            rack.join()
        with pytest.raises(UsageError, match=r"No worker of the scheduler offers t4; .* --resources t4=1"):
            Rack(client, processes.target, {"t4": device_profiles.load("t4")})


def test_code_of_the_users_own_is_not_sent(request_of, here):
    cells = list_cells([request_of(metrics=("scores.py:mine",))])
    check_sendable(cells, frozenset())
    with pytest.raises(UsageError, match=r"The metric scores\.py:mine is code of your own"):
        check_sendable(cells, frozenset([here.name]))
