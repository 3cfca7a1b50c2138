"""Commands write where they are told to: through a link, into a device or a pipe, and with the mode that was there."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from runtimes import npz
from runtimes.__main__ import main as device
from runtimes.bundles.bundle import Bundle

DATA = {"image": np.zeros((2, 1, 8, 8), np.float32)}


@pytest.fixture(scope="module")
def key(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("key") / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", file], check=True)
    return file


@pytest.fixture
def commands(built_bundle, report, key, tmp_path, cli):
    """Every command that writes a file which the user names, as functions of that file."""
    npz.write(tmp_path / "x.npz", DATA)

    def run(*arguments: object) -> int:
        return cli(*arguments).code

    def gate(out: Path) -> int:
        return run("gate", report, "--budget", "p90<=10s", "--output", f"junit={out}")

    return {
        "sign": lambda out: run("sign", built_bundle, "--key", key, "--out", out),
        "gate": gate,
        "run": lambda out: device(
            ["run", str(built_bundle), "--inputs", str(tmp_path / "x.npz"), "--outputs", str(out)]
        ),
    }


@pytest.fixture(scope="module")
def report(built) -> Path:
    return built / "report.json"


@pytest.mark.parametrize("name", ["sign", "gate", "run"])
def test_a_device_a_pipe_and_a_link_stay_what_they_are(commands, name, tmp_path):
    command = commands[name]
    assert command(Path(os.devnull)) == 0
    assert Path(os.devnull).is_char_device()
    fifo, read = tmp_path / "fifo", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()), daemon=True)
    reader.start()
    assert command(fifo) == 0
    reader.join(10)
    assert fifo.is_fifo()
    (file := tmp_path / "file").touch(0o600)
    (link := tmp_path / "link").symlink_to(file)
    assert command(link) == 0
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o600
    if name != "run":  # an .npz holds the time
        assert file.read_bytes() == read[0]


def test_signing_in_place_keeps_a_bundle_private(commands, built_bundle, key, cli, tmp_path):
    private = tmp_path / "private.edge"
    private.write_bytes(built_bundle.read_bytes())
    private.chmod(0o640)
    assert cli("sign", private, "--key", key).code == 0
    assert private.stat().st_mode & 0o777 == 0o640
    with Bundle(private) as bundle:
        assert bundle.is_signed
