"""A source, measured as it is, goes by what it holds."""

from __future__ import annotations

import pytest
import tiny_models

from runtimes.bundles.bundle import Bundle
from toolchain.pipeline.pack_model import pack_as_is
from toolchain.sources.input_specs import parse_input


@pytest.mark.parametrize(("name", "precision"), [("conv", "fp32"), ("quantized", "int8")])
def test_a_bare_model_is_labelled_with_its_own_precision(tmp_path, device, name, precision):
    source = getattr(tiny_models, name)(tmp_path / "net.onnx")
    (tmp_path / "work").mkdir()
    packed, _ = pack_as_is(str(source), (), device, None, tmp_path / "work")
    with Bundle(packed) as bundle:
        assert bundle.manifest.artifact.precision == precision


def test_a_module_is_packed_at_the_inputs_that_are_declared(tmp_path, device):
    (tmp_path / "net.py").write_text("from torch import nn\n\ndef load():\n    return nn.Linear(8, 4)\n")
    packed, caveat = pack_as_is(f"{tmp_path / 'net.py'}:load", [parse_input("x=float32[N,8]")], device, 2, tmp_path)
    with Bundle(packed) as bundle:
        assert bundle.manifest.model == "net"
        assert bundle.manifest.artifact.inputs[0].shape == ("N", 8)
        assert bundle.manifest.artifact.settings.threads == 2
    assert "random inputs" in caveat


def test_inspect_knows_an_onnx_file_by_its_suffix_in_any_case(tmp_path, cli):
    done = cli("inspect", tiny_models.conv(tmp_path / "NET.ONNX"))
    assert done.code == 0
    assert "input: image=float32[N,3,8,8]" in done.out
