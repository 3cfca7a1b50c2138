"""TorchScript of strangers may compute, and reach no file and no operator beyond ATen."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import nn

from runtimes.errors import UsageError
from toolchain.exporters import torchscript
from toolchain.exporters.saved_programs import UnsafeProgramError
from toolchain.exporters.saved_programs.check_script import check_code, check_script
from toolchain.sources.input_specs import parse_input

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
SPECS = (parse_input("x=float32[2,4]"),)


class Plain(nn.Module):
    def forward(self, x):
        assert x.dim() == 2, "what 'ops' of \"torch\" save (here) needs two axes"
        return torch.relu(x) + torch.ops.aten.mul(x, 2.0)


class Saving(nn.Module):
    def forward(self, x):
        torch.save(x, "ran")
        return x


class Mapping(nn.Module):
    def forward(self, x):
        return x + torch.from_file("ran", True, 4)


def test_code_that_computes_is_read(tmp_path):
    torch.jit.script(Plain()).save(tmp_path / "net.pt")
    check_script(tmp_path / "net.pt")
    torchscript.export(str(tmp_path / "net.pt"), SPECS, tmp_path / "m.onnx")


@pytest.mark.parametrize("net", [Saving, Mapping])
def test_code_that_writes_files_is_refused_unless_it_is_trusted(net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.jit.script(net()).save(tmp_path / "net.pt")
    (tmp_path / "ran").unlink(missing_ok=True)
    with pytest.raises(UsageError, match=r"which reads or writes files.*--trust-source"):
        torchscript.export(str(tmp_path / "net.pt"), SPECS, tmp_path / "m.onnx")
    assert not (tmp_path / "ran").exists()
    with contextlib.suppress(UsageError):
        torchscript.export(str(tmp_path / "net.pt"), SPECS, tmp_path / "m.onnx", trusted=True)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "text",
    [
        "return ops.image.write_file(x)",
        "y = ops\nreturn y.image.write_file(x)",
        "return ops .image.write_file(x)",
        "return ops.\\\nimage.write_file(x)",
        "t = torch\nt.save(x, 'f')",
        "torch.save  (x, 'f')",
        "a = __torch__.torch.classes.c10d.Store()",
        '""" " """; ops.image.write_file(x) #"',
        '"\n" + ops.image.write_file(x) + "\n"',
        "'\"' + ops.image.write_file(x) + '\"'",
        'x # "\nops.image.write_file(x) # "',
    ],
)
def test_no_way_to_write_a_call_hides_it(text):
    with pytest.raises(UnsafeProgramError):
        check_code(text)
