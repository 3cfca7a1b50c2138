"""A bare model, measured as it is, goes by what it holds."""

from __future__ import annotations

import pytest
import tiny_models

from runtimes.bundles.bundle import Bundle
from toolchain.pipeline.pack_model import pack_as_is


@pytest.mark.parametrize(("name", "precision"), [("conv", "fp32"), ("quantized", "int8")])
def test_a_bare_model_is_labelled_with_its_own_precision(tmp_path, device, name, precision):
    source = getattr(tiny_models, name)(tmp_path / "net.onnx")
    (tmp_path / "work").mkdir()
    packed, _ = pack_as_is(source, device, None, tmp_path / "work")
    with Bundle(packed) as bundle:
        assert bundle.manifest.artifact.precision == precision


def test_inspect_knows_an_onnx_file_by_its_suffix_in_any_case(tmp_path, cli):
    done = cli("inspect", tiny_models.conv(tmp_path / "NET.ONNX"))
    assert done.code == 0
    assert "input: image=float32[N,3,8,8]" in done.out
