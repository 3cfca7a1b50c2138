"""`inspect` on models and bundles."""

from __future__ import annotations

import json
import zipfile

import onnx
import pytest
import tiny_models

pytestmark = pytest.mark.usefixtures("one_process")  # but `built`, whose models run in processes of their own


def test_inspect_describes_a_model(cli, digits):
    ran = cli("inspect", digits.onnx)
    assert (ran.code, ran.err) == (0, "")
    assert "1,8,8]" in ran.out
    assert "operators: " in ran.out
    assert "int8 would compute: " in ran.out


def test_inspect_describes_a_bundle(cli, built_bundle):
    ran = cli("inspect", built_bundle, "--format", "json")
    found = json.loads(ran.out)
    assert ran.code == 0
    assert (found["model"], found["profile"], found["runtime"]) == ("digits", "bench", "onnxruntime")
    assert found["golden_samples"] == 4
    assert found["inputs"][0]["name"] == "image"
    text = cli("inspect", built_bundle)
    assert "profile: bench" in text.out
    assert "opset: " in text.out


def test_inspect_refuses_names_that_give_orders(cli, tmp_path):
    model = onnx.load(tiny_models.conv(tmp_path / "m.onnx"))
    model.graph.node[0].input[0] = model.graph.input[0].name = "\x1b[2Jclear"
    onnx.save(model, tmp_path / "m.onnx")
    ran = cli("inspect", tmp_path / "m.onnx")
    assert (ran.code, ran.out) == (2, "")
    assert r"has a tensor that holds the text '\x1b[2Jclear'" in ran.err
    assert "\x1b" not in ran.err


def test_inspect_refuses_a_bundle_whose_report_was_changed(cli, built_bundle, tmp_path):
    content = bytearray(built_bundle.read_bytes())
    with zipfile.ZipFile(built_bundle) as archive:
        content[archive.getinfo("report.json").header_offset + 100] ^= 1
    changed = tmp_path / "changed.edge"
    changed.write_bytes(content)
    ran = cli("inspect", changed)
    assert ran.code == 2
    assert "the bytes of 'report.json' are not those that were packed" in ran.err


def test_inspect_says_why_int8_does_not_apply(cli, tmp_path):
    assert "int8: the model is quantized already" in cli("inspect", tiny_models.quantized(tmp_path / "m.onnx")).out
