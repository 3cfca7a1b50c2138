"""Bundles: equal contents give equal bytes, and a file is there whole or not at all."""

from __future__ import annotations

import dataclasses
import errno
import json
import resource
import zipfile

import numpy as np
import pytest

from runtimes.bundles.bundle import Bundle
from runtimes.codec import encode
from runtimes.errors import UsageError
from runtimes.verification.golden import replay
from toolchain.packaging import pack as packing
from toolchain.packaging.pack import Contents, pack
from toolchain.quantizers import precisions
from toolchain.recipes.recipe import Recipe


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_equal_contents_give_equal_bytes(contents, folder, monkeypatch):
    pack(contents, folder / "a.edge")
    monkeypatch.setattr("time.time", lambda: 2e9)
    reordered = dataclasses.replace(contents, golden_outputs=dict(reversed(list(contents.golden_outputs.items()))))
    pack(reordered, folder / "b.edge")
    assert (folder / "a.edge").read_bytes() == (folder / "b.edge").read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"recipe": Recipe("fp32", keep=("conv",))},
        {"report": "{}"},
        {"golden_inputs": {"image": np.ones((4, 3, 8, 8), np.float32)}},
    ],
    ids=["model", "recipe", "report", "golden"],
)
def test_other_contents_give_other_bytes(contents, folder, change):
    pack(contents, folder / "a.edge")
    pack(dataclasses.replace(contents, **change), folder / "b.edge")
    assert (folder / "a.edge").read_bytes() != (folder / "b.edge").read_bytes()


def test_holds_what_went_in(contents, folder):
    pack(contents, folder / "a.edge")
    with Bundle(folder / "a.edge") as bundle:
        manifest = bundle.manifest
        assert (manifest.model, manifest.profile) == (contents.model, contents.profile)
        assert manifest.recipe == encode(contents.recipe)
        assert manifest.golden.samples == 4
        assert set(manifest.distributions) == {"image", "scores"}
        assert manifest.distributions["image"].high == contents.golden_inputs["image"].max()
        assert sorted(manifest.members) == [
            "artifact/model.onnx",
            "golden/input-0.npy",
            "golden/output-0.npy",
            "report.json",
        ]
        assert bundle.read("artifact/model.onnx") == contents.artifact.file.read_bytes()
        assert bundle.read("report.json").decode() == contents.report
        assert all(result.passed for result in replay(bundle, any_machine=True))


def test_a_bundle_is_a_plain_zip_that_begins_with_its_manifest(contents, folder):
    pack(contents, folder / "a.edge")
    with zipfile.ZipFile(folder / "a.edge") as archive:
        infos = archive.infolist()
        assert infos[0].filename == "manifest.json"
        assert {info.compress_type for info in infos} == {zipfile.ZIP_STORED}
        assert {info.date_time[0] for info in infos} == {1980}
        assert json.loads(archive.read("manifest.json"))["schema_version"] == 1


def test_a_bundle_may_hold_neither_golden_samples_nor_a_report(contents, folder):
    bare = Contents(contents.model, contents.profile, contents.artifact, contents.recipe, {}, {})
    pack(bare, folder / "a.edge")
    with Bundle(folder / "a.edge") as bundle:
        assert bundle.manifest.golden.samples == 0
        assert list(bundle.manifest.members) == ["artifact/model.onnx"]


@pytest.mark.parametrize("precision", precisions())
def test_every_precision_has_a_tolerance(contents, folder, precision):
    artifact = dataclasses.replace(contents.artifact, precision=precision)
    pack(dataclasses.replace(contents, artifact=artifact), folder / "a.edge")
    with Bundle(folder / "a.edge") as bundle:
        assert 1e-3 <= bundle.manifest.golden.tolerance <= 3e-2


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_bundle(contents, folder, monkeypatch, error):
    path = folder / "a.edge"
    pack(contents, path)
    before = path.read_bytes()

    def fail(stream, members):
        stream.write(members["manifest.json"])
        raise error

    monkeypatch.setattr(packing.archive, "write", fail)
    with pytest.raises(type(error)):
        pack(dataclasses.replace(contents, model="other"), path)
    assert path.read_bytes() == before
    assert [file.name for file in folder.iterdir()] == ["a.edge"]


def test_a_disk_that_takes_no_more_leaves_the_old_bundle(contents, folder):
    path = folder / "x.edge"
    pack(contents, path)
    before, (soft, hard) = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))  # the write itself fails, half way
    try:
        with pytest.raises(UsageError, match=r"x\.edge' cannot be written: File too large"):
            pack(dataclasses.replace(contents, model="another"), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [file.name for file in folder.iterdir()] == ["x.edge"]
