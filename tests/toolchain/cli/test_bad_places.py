"""Places where results cannot go, and disks that are full: one sentence, exit code 2, nothing lost or half-written."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from leftovers import contents_of, leftovers


def test_an_output_folder_under_a_file(refuses_build, tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in ("file", "file/out"):
        words = (f"The output folder '{tmp_path / path}' cannot be written to", "give another with --out.")
        refuses_build("--out", tmp_path / path, words=words)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no /proc, which takes no files even from root")
@pytest.mark.parametrize("path", ["/proc", "/proc/edgewright"])
def test_an_output_folder_that_takes_no_files(refuses_build, path):
    refuses_build("--out", path, words=(f"The output folder '{path}' cannot be written to", "give another with --out."))


def test_a_report_that_cannot_be_written_is_refused_before_measuring(refuses, built_bundle, tmp_path, monkeypatch):
    def measured(*_: object) -> None:
        raise AssertionError("it measured first")

    monkeypatch.setattr("hwbench.targets.local.LocalTarget.sample", measured)
    (tmp_path / "file").write_text("mine")
    words = (f"{tmp_path / 'file' / 'report.json'}' cannot be written: Not a directory; give another file with --out.",)
    refuses("measure", built_bundle, "--out", tmp_path / "file" / "report.json", words=words)
    words = (f"'{tmp_path}' cannot be written: Is a directory; give another file with --out.",)
    refuses("measure", built_bundle, "--out", tmp_path, words=words)


def test_an_output_folder_that_was_made_for_nothing_goes_again(refuses_build, tmp_path):
    refuses_build("--out", tmp_path / "new" / "folder", source="nothing.onnx", words=("There is no file",))
    assert not (tmp_path / "new").exists()


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of its own, with room for the good build and 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "edgewright-test", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a disk that is full")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, leaving: int) -> None:
    """Take up all but so many bytes of a disk."""
    free = shutil.disk_usage(folder).free
    (folder / "filling").write_bytes(bytes(max(0, free - leaving)))


@pytest.mark.parametrize("leaving", [0, 16 << 10, 256 << 10])
def test_a_full_disk_leaves_the_last_build(refuses, one_process, out, digits, device_file, small_disk, leaving):
    results = small_disk / "results"
    shutil.copytree(out, results)
    fill(small_disk, leaving)
    before = contents_of(small_disk)
    words = (f"The disk of '{results}' is full; nothing was left half-written. Free some space there.",)
    refuses(
        *("build", digits.onnx, "--profile", device_file, "--runtime", "onnxruntime", "--precision", "fp32"),
        *("--evaluation", digits.evaluation, "--duration", "0.2", "--out", results),
        words=words,
    )
    assert contents_of(small_disk) == before


@pytest.mark.parametrize("leaving", range(0, 640 << 10, 128 << 10))
def test_a_full_disk_for_temporary_files_is_never_a_candidates_fault(
    cli, out, digits, elsewhere, small_disk, monkeypatch, leaving
):
    fill(small_disk, leaving)
    before = contents_of(out)
    monkeypatch.setenv("TMPDIR", str(small_disk))
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    ran = cli(
        *("build", digits.program, "--input", "image=float32[N,1,8,8]", "--profile", elsewhere.name, "--out", out),
        *("--runtime", "onnxruntime", "--precision", "fp32", "--precision", "int8", "--budget", "accuracy_drop<=0.05"),
        *("--calibration", digits.calibration, "--evaluation", digits.evaluation, "--format", "json"),
    )
    if ran.code != 2:  # it was enough
        assert leaving > 128 << 10
        assert [entry["status"] for entry in json.loads(ran.out)["profiles"][0]["candidates"]] == [
            "eligible",
            "selected",
        ]
        return
    *said, line = ran.err.splitlines()
    steps = ("Calibrating by minmax", "The minmax ranges", "Opening", "Running", elsewhere.name)
    assert all(text.startswith(steps) for text in said)
    assert line.startswith("Error: ")
    assert str(small_disk) in line
    assert ran.out == ""
    assert contents_of(out) == before
    assert leftovers(small_disk) == ["filling"]


def test_a_full_disk_leaves_the_bundle_that_was_to_be_signed(refuses, built_bundle, small_disk, tmp_path):
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519", reason="no extra `sign`")
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = tmp_path / "key.pem"
    private = ed25519.Ed25519PrivateKey.generate()
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    bundle = small_disk / "x.edge"
    shutil.copy(built_bundle, bundle)
    fill(small_disk, 4 << 10)
    before = contents_of(small_disk)
    refuses("sign", bundle, "--key", key, words=("is full; nothing was left half-written",))
    assert contents_of(small_disk) == before
