"""edgewright attest: the signed result of a gate, which a device can demand."""

from __future__ import annotations

import shutil
import subprocess

import pytest

import runtimes
from runtimes.errors import BundleError

pytestmark = pytest.mark.usefixtures("one_process")


@pytest.fixture
def keys(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl")
    key, public = tmp_path / "key.pem", tmp_path / "public.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
    return key, public


@pytest.mark.parametrize(("budget", "code"), [("size<=1GB", 0), ("size<=1kB", 1)])
def test_from_the_gate_to_the_device(cli, built_bundle, tmp_path, keys, budget, code):
    key, public = keys
    bundle, report = tmp_path / "model.edge", tmp_path / "gate.json"
    assert cli("sign", built_bundle, "--key", key, "--out", bundle).code == 0
    assert cli("gate", bundle, "--budget", budget, "--output", f"json={report}").code == code
    ran = cli("attest", bundle, "--report", report, "--key", key)
    assert ran.code == 0, ran.err
    if code == 0:
        runtimes.load(bundle, public_key=public, any_machine=True, require="passed").close()
    else:
        with pytest.raises(BundleError, match="did not pass"):
            runtimes.load(bundle, public_key=public, any_machine=True, require="passed")


def test_a_report_of_another_bundle_is_refused(refuses, out, keys, tmp_path, cli, built_bundle):
    key, _ = keys
    report = tmp_path / "gate.json"
    assert cli("gate", built_bundle, "--budget", "size<=1GB", "--output", f"json={report}").code == 0
    assert cli("sign", built_bundle, "--key", key, "--out", tmp_path / "signed.edge").code == 0
    refuses("attest", tmp_path / "signed.edge", "--report", report, "--key", key, words=("gate", "signed.edge"))
    refuses("attest", built_bundle, "--report", out / "report.json", "--key", key, words=("report.json",))
