"""Fuzz targets of `toolchain/exporters/saved_programs`: programs, sizes, guards, and TorchScript."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable

import torch
from torch import nn

from runtimes.errors import UsageError
from toolchain.exporters.saved_programs import UnsafeProgramError
from toolchain.exporters.saved_programs.check_program import check_program
from toolchain.exporters.saved_programs.check_script import check_code
from toolchain.exporters.saved_programs.expressions import check_guard, check_size

_CODE = "__import__"
_SIZE = (
    "Add(FloorDiv(Symbol('s0', positive=True, integer=True), Integer(2)), Pow(Symbol('u1'), Integer(2)), Integer(-1))"
)
_GUARD = "(L['x'].size()[0] % 2) == 0 and not max(L['args'][0].size()[1], 4) > 64"
_SCRIPT = (
    "def forward(self, x: Tensor) -> Tensor:\n  _0 = torch.add(x, CONSTANTS.c0)\n  return ops.prim.NumToTensor(_0)\n"
)


def targets() -> dict[str, tuple[Callable[[bytes], object], list[bytes]]]:
    """List what checks programs, with seeds: real ones, and ones that hold code."""
    code = [f"{_CODE}('os').system('id')", "exec('1')", "ops.image.write_file(x)", "torch.save(x, 'f')"]
    return {
        "program, JSON": (lambda data: _program(data), [_saved(), *(json.dumps(text).encode() for text in code)]),
        "size": (lambda data: _text(check_size, data), [text.encode() for text in (_SIZE, *code)]),
        "guard": (lambda data: _text(check_guard, data), [text.encode() for text in (_GUARD, *code)]),
        "TorchScript": (lambda data: _text(check_code, data), [text.encode() for text in (_SCRIPT, *code)]),
    }


def _program(data: bytes) -> None:
    try:
        check_program(json.loads(data))
    except (ValueError, RecursionError, UnsafeProgramError) as error:
        raise UsageError(str(error)) from None


def _text(check: Callable[[str], None], data: bytes) -> None:
    text = data.decode("latin-1")
    try:
        check(text)
    except UnsafeProgramError as error:
        raise UsageError(str(error)) from None
    if check is not check_code and _CODE in text:
        raise AssertionError(f"{text!r} is accepted")


def _saved() -> bytes:
    program = torch.export.export(nn.Linear(4, 4), (torch.ones(3, 4),), dynamic_shapes=({0: torch.export.Dim("rows")},))
    torch.export.save(program, buffer := io.BytesIO())
    with zipfile.ZipFile(buffer) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("models/model.json"))
        return archive.read(name)
