"""Commands on a board over ssh: a real server on the loopback interface."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shutil

import loopback_board
import pytest

from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from hwbench.results import profile_results
from toolchain.packaging.pack import pack


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    started = loopback_board.start(tmp_path_factory.mktemp("board"))
    with loopback_board.client(started):
        yield started
    loopback_board.stop(started)


@pytest.fixture(scope="module")
def bundle(contents, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "tiny.edge"
    pack(dataclasses.replace(contents, report=None), path)
    return path


def test_verify_replays_the_golden_samples_on_the_board(cli, board, bundle):
    ran = cli("verify", bundle, "--target", board.address)
    assert (ran.code, ran.err) == (0, "")
    assert "\nok: scores differs by " in ran.out
    assert f"\nComputed by {board.address} (" in ran.out


def test_measure_measures_there(cli, board, bundle):
    ran = cli("measure", bundle, "--target", board.address, "--duration", "0.05", "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    (result,) = profile_results.from_json(ran.out, "stdout").profiles
    assert len(result.selected.report.latency.blocks) == 6
    assert f"Measured on {board.address}." in result.caveats


@pytest.mark.parametrize("command", [("verify",), ("measure", "--duration", "0.05")])
def test_another_devices_bundle_is_refused(cli, board, contents, elsewhere, tmp_path, command):
    pack(dataclasses.replace(contents, profile=elsewhere, report=None), tmp_path / "there.edge")
    ran = cli(command[0], tmp_path / "there.edge", *command[1:], "--target", board.address)
    assert (ran.code, ran.out) == (2, "")
    assert f"is no {elsewhere.title}" in ran.err


COMPILES = """
import os, sys
if "compile" in sys.orig_argv:
    code = int(os.environ["CODE"])
    print("Built it.", flush=True)
    if code == 0:
        with open(sys.orig_argv[-1] + ".engine", "w") as file:
            file.write("an engine")
    os._exit(code)
"""


@pytest.mark.parametrize("code", [0, 1])
def test_an_engine_is_brought_back_unless_it_is_wrong(cli, bundle, tmp_path, code):
    """The board compiles as this test says, since there is no GPU."""
    (folder := tmp_path / "board").mkdir()
    (folder / "sitecustomize.py").write_text(COMPILES)
    board = loopback_board.start(folder, PYTHONPATH=str(folder), CODE=str(code))
    with loopback_board.client(board):
        ran = cli("compile", shutil.copy(bundle, tmp_path / "model.edge"), "--target", board.address)
    loopback_board.stop(board)
    assert (ran.code, ran.err) == (code, "")
    assert ran.out.startswith("Built it.\n")
    engines = [tmp_path / "model.edge.engine", *(board.cache / "board/files").rglob("*.engine")]
    assert [path.read_text() for path in engines if path.exists()] == ["an engine"] * (2 if code == 0 else 0)


@pytest.mark.parametrize(
    ("command", "options"), [("verify", ()), ("measure", ()), ("gate", ("--budget", "p50<=1s")), ("compile", ())]
)
def test_a_board_that_is_off_is_an_error_of_one_sentence(cli, board, bundle, command, options):
    ran = cli(command, bundle, *options, "--target", "ssh://board:1")
    assert (ran.code, ran.out) == (2, "")
    assert re.fullmatch(r"Error: ssh://board:1 cannot be reached \(.*\); check that .*\n", ran.err)


def test_what_needs_no_compiling_and_no_board_are_refused(cli, board, bundle):
    ran = cli("compile", bundle, "--target", board.address)
    assert (ran.code, ran.out) == (2, "")
    assert "holds nothing to compile" in ran.err
    assert cli("compile", bundle).code == 2


@pytest.mark.parametrize(
    "target", ["ssh://-oProxyCommand=touch x", "ssh://a b", "ssh://user@", "ssh://a:0", "ssh://a;b", "ssh://u:p@a"]
)
def test_what_is_no_address_is_refused(cli, bundle, target, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = cli("verify", bundle, "--target", target)
    assert (ran.code, ran.out) == (2, "")
    assert "write it like ssh://pi@raspberrypi.local" in ran.err
    assert not (tmp_path / "x").exists()


def test_gate_judges_what_was_measured_there(cli, board, bundle):
    budget = ("--budget", "p50<=1s", "--max-time", "200s", "--target", board.address)
    ran = cli("gate", bundle, *budget, "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    assert profile_results.from_json(ran.out, "stdout").outcome == "pass"
    ran = cli("gate", bundle, *budget, "--baseline-python", "python3")
    assert (ran.code, ran.out) == (2, "")
    assert "--baseline-python is of this machine" in ran.err


def test_build_measures_on_the_board(cli, board, tiny_onnx, device_file, tmp_path):
    ran = cli(
        *("build", tiny_onnx, "--profile", device_file, "--precision", "fp32", "--runtime", "onnxruntime"),
        *(
            "--exhaustive",
            "--duration",
            "0.05",
            "--out",
            tmp_path / "out",
            "--target",
            board.address,
            "--format",
            "json",
        ),
    )
    assert ran.code == 0, ran.err
    selected = profile_results.from_json(ran.out, "stdout").profiles[0].selected
    assert len(selected.report.latency.blocks) >= 3
    bundle = tmp_path / "out/tiny-bench.edge"
    digest = hashlib.sha256((tmp_path / "out/tiny-bench.edge").read_bytes()).hexdigest()
    assert cli("verify", bundle, "--target", board.address).code == 0
    assert (board.cache / "board/files" / digest).is_dir()


def test_a_board_introduces_itself_with_a_profile_that_fits_it(cli, board, tmp_path):
    ran = cli("profiles", "--detect", "--target", board.address, "--out", tmp_path / "mine.toml")
    assert ran.code == 0, ran.err
    assert re.search(r"installed +onnxruntime", ran.out)
    profile = device_profiles.read(tmp_path / "mine.toml")
    assert profile.name == "mine"
    assert device_profiles.fits(profile, this_machine())
    assert profile.memory.bandwidth_gb_per_s > 0.1
    refused = cli("profiles", "--detect", "--out", tmp_path / "mine.toml")
    assert (refused.code, refused.out) == (2, "")
