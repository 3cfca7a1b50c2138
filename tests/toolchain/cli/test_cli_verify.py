"""`verify` on bundles that are whole, changed, wrong, or of another device."""

from __future__ import annotations

import dataclasses
import zipfile

import pytest

from toolchain.packaging.pack import pack

pytestmark = pytest.mark.usefixtures("one_process")  # but `built`, whose models run in processes of their own


def test_verify_accepts_what_was_packed(cli, built_bundle):
    ran = cli("verify", built_bundle)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0].startswith("digits for bench: ")
    assert "all digests match" in ran.out
    assert "\nok: " in ran.out


def test_verify_refuses_what_was_changed(cli, built_bundle, tmp_path):
    changed = tmp_path / "changed.edge"
    with zipfile.ZipFile(built_bundle) as source, zipfile.ZipFile(changed, "w") as target:
        for info in source.infolist():
            data = source.read(info)
            target.writestr(info, data[:-1] + b"\x00" if info.filename == "artifact/model.onnx" else data)
    ran = cli("verify", changed)
    assert (ran.code, ran.out) == (2, "")
    assert "'artifact/model.onnx' are not those that were packed" in ran.err


def test_verify_says_that_a_machine_computes_something_else(cli, contents, device, tmp_path):
    wrong = {name: array * 1.1 for name, array in contents.golden_outputs.items()}
    pack(dataclasses.replace(contents, profile=device, golden_outputs=wrong), tmp_path / "wrong.edge")
    ran = cli("verify", tmp_path / "wrong.edge")
    assert ran.code == 1
    assert "\nMISMATCH: scores differs by 9.09e-02 (tolerance 1e-03)" in ran.out


def test_verify_refuses_another_devices_bundle_unless_told_otherwise(cli, contents, elsewhere, tmp_path):
    pack(dataclasses.replace(contents, profile=elsewhere), tmp_path / "there.edge")
    ran = cli("verify", tmp_path / "there.edge")
    assert (ran.code, ran.out) == (2, "")
    assert f"Profile {elsewhere.name} is for {elsewhere.arch}, but this machine is" in ran.err
    assert cli("verify", tmp_path / "there.edge", "--any-machine").code == 0
