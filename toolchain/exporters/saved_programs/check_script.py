"""Check of the code in a TorchScript archive, which PyTorch compiles when it loads it, and in part runs.

The language has no imports, files or processes of its own; what reaches them are registered operators and classes. Its
printer (torch/csrc/jit/serialization/python_print.cpp) writes an operator of ATen as torch.NAME, others as
ops.NAMESPACE.NAME, and classes of C++ as __torch__.torch.classes.NAMESPACE.NAME.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch

from toolchain.exporters.saved_programs import UnsafeProgramError

_STRING = re.compile(r"""(["'])(?:(?!\1)[^\\\n]|\\.)*\1""")
_EFFECT = re.compile(r"\b(save|from_file|load_library)\s*\(")  # of files; torch.save has an alias as any value has
_OPERATORS = re.compile(r"(?<![\w.])ops\b(?:\s*\.\s*(\w+))?")
_CLASSES = re.compile(r"\bclasses\s*\.\s*(\w+)")
_NAMESPACES = frozenset("aten prim prims quantized _quantized quantized_decomposed torchvision".split())
_CLASS_NAMESPACES = frozenset("quantized rnn sparse xnnpack".split())


def check_script(source: Path) -> None:
    """Check that the code of an archive calls only operators that compute.

    Raises:
        UnsafeProgramError: it calls another one.
        Exception: the archive is damaged.
    """
    reader = torch._C.PyTorchFileReader(str(source))
    for name in reader.get_all_records():
        if name.endswith(".py"):
            check_code(bytes(reader.get_record(name)).decode("utf-8", "replace"))
        elif "/" not in name and name.endswith((".ff", ".ptl")):
            raise UnsafeProgramError(f"holds '{name[:40]}', a program in another format")


def check_code(text: str) -> None:
    """Check the text of one module's code; see `check_script`."""
    text = _without_strings(text)
    if (effect := _EFFECT.search(text)) is not None:
        raise UnsafeProgramError(f"calls '{effect[1]}', which reads or writes files")
    for found in _OPERATORS.finditer(text):
        if found[1] not in _NAMESPACES:
            raise UnsafeProgramError(f"uses operators of '{found[1] or found[0]}', which are not ATen's")
    for found in _CLASSES.finditer(text):
        if found[1] not in _CLASS_NAMESPACES:
            raise UnsafeProgramError(f"makes an object of '{found[1]}'")


def _without_strings(text: str) -> str:
    """Remove texts such as messages, unless they are written in a way that another reader may divide otherwise."""
    bare = _STRING.sub("", text)
    return text if any(quote in bare for quote in "\"'") or '"""' in text or "'''" in text else bare
