"""Owner of the file that a line is in: the user, torch, Python or edgewright."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import toolchain
from toolchain.exporters.tracing.model_lines import is_torch, line_of

TORCH, OURS = Path(torch.__file__).parent, Path(toolchain.__file__).parent
STDLIB = Path(sysconfig.get_path("stdlib"))


@pytest.mark.parametrize(
    "file", [TORCH.with_name("torchvision") / "resnet.py", OURS.with_name("toolchain_models") / "net.py", "/net.py"]
)
def test_a_folder_whose_name_begins_with_anothers_is_the_users(file):
    assert line_of(SimpleNamespace(filename=str(file), lineno=3)) == f"{relative(Path(file))}:3"
    assert not is_torch(str(file))


@pytest.mark.parametrize("file", [TORCH / "nn" / "new.py", OURS / "new.py", STDLIB / "new.py", "<string>"])
def test_lines_of_torch_python_and_ours_are_not_told(file):
    assert line_of(SimpleNamespace(filename=str(file), lineno=3)) is None
    assert is_torch(str(file)) == Path(file).is_relative_to(TORCH)


def relative(file: Path) -> Path:
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
