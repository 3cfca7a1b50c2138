"""Check of the program in a `.pt2`: JSON in which every text is an operator, a size, a guard, a name, or a plain value.

PyTorch looks operators up by getattr from `torch`, evaluates sizes and guards, imports the modules that a structure of
inputs names, and writes names into Python source that it executes (torch/_export/serde/serialize.py, PyTorch 2.13).
"""

from __future__ import annotations

import json
import re
from typing import Any

import torch

from toolchain.exporters.saved_programs import UnsafeProgramError
from toolchain.exporters.saved_programs.expressions import check_guard, check_size

_DEEPEST = 60  # nested lists and tables; a subgraph takes seven
_NAME = re.compile(r"[+-]?\w*(\.\w+)*")  # of nodes, weights, layers; also numbers as text
_PLAIN = re.compile(r"[\w .,:;+*/()<>=-]*")
_SIZE = re.compile(r"[\w .,+*/()-]*")  # as SymPy prints it; a name of a range, which is not evaluated
_VERSION = re.compile(r"[\w.+-]*")
_NAMESPACES = ("aten", "prims", "quantized_decomposed", "torchvision")
_WITH_EFFECTS = ("from_file", "save", "_print", "warn")  # on files and the terminal
_CONTROL_FLOW = frozenset(
    "cond while_loop scan associative_scan map_impl invoke_subgraph wrap_with_set_grad_enabled "
    "wrap_with_autocast".split()
)
_ARITHMETIC = frozenset(
    "_operator.eq _operator.ne _operator.le _operator.ge _operator.lt _operator.gt _operator.neg _operator.pos "
    "_operator.mul _operator.add _operator.sub _operator.floordiv _operator.mod _operator.pow _operator.truediv "
    "_operator.and_ _operator.or_ _operator.lshift _operator.rshift _operator.getitem math.trunc torch.sym_not "
    "torch.sym_int torch.sym_float torch.sym_ite torch.sym_max torch.sym_min torch.sym_sqrt".split()
)
_CUSTOM = ("as_custom_obj", "custom_obj")
_CONTAINERS = ("builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict")


def check_program(data: Any) -> Any:
    """Check the JSON of a program, and return it without the metadata, of which only stack traces are kept.

    Raises:
        UnsafeProgramError: it holds something that no exported model has, or that could run code.
    """
    return _checked(data, "", 0, free=False)


def check_key(key: object) -> None:
    """Check that a key of a dict among the inputs is a name, since PyTorch writes it into Python source.

    Raises:
        UnsafeProgramError: it is something else.
    """
    if not isinstance(key, int) and not (isinstance(key, str) and re.fullmatch(r"\w+", key)):
        raise UnsafeProgramError(f"names an input {str(key)[:40]!r}, which is no name")


def _checked(value: Any, key: str, depth: int, *, free: bool) -> Any:
    """Check a value under a key; `free` allows texts that are arguments of operators."""
    if depth > _DEEPEST:
        raise UnsafeProgramError(f"is nested more than {_DEEPEST} deep")
    if isinstance(value, dict):
        return _checked_table(value, key, depth, free=free)
    if isinstance(value, list):
        return [_checked(item, key, depth + 1, free=free) for item in value]
    if isinstance(value, str):
        _check_text(value, key, free=free)
    elif isinstance(value, int) and abs(value) >= 1 << 64:
        raise UnsafeProgramError(f"holds a number of {value.bit_length()} bits under '{key}'")
    return value


def _checked_table(table: dict[str, Any], key: str, depth: int, *, free: bool) -> dict[str, Any]:
    if key == "metadata":
        return {name: text for name, text in table.items() if name == "stack_trace" and isinstance(text, str)}
    checked = {}
    for name, value in table.items():
        if key == "range_constraints":
            _check_range(name, value)
        else:
            _check_text(name, "name", free=False)
        if name in _CUSTOM or (name == "custom_obj_values" and value):
            raise UnsafeProgramError("holds a custom object, which is pickled")
        inner = name == "nodes" or (free and name != "graph")
        checked[name] = _checked(value, name, depth + 1, free=inner)
    return checked


def _check_text(text: str, key: str, *, free: bool) -> None:
    if key in ("target", "as_operator"):
        _check_operator(text)
    elif key == "expr_str":
        check_size(text)
    elif key == "guards_code":
        check_guard(text)
    elif key in ("in_spec", "out_spec"):
        _check_structure(text)
    elif key in ("as_string", "as_strings"):
        # A text among the inputs is written into a guard.
        if not free and not _PLAIN.fullmatch(text):
            raise UnsafeProgramError(f"takes the text {text[:40]!r} as an input")
    elif key == "torch_version":
        if not _VERSION.fullmatch(text):
            raise UnsafeProgramError(f"names {text[:40]!r} as PyTorch's version")
    elif len(text) > 2_000 or not _NAME.fullmatch(text):
        raise UnsafeProgramError(f"holds {text[:40]!r} where a name should be")


def _check_operator(name: str) -> None:
    """Check that an operator computes tensors or sizes; one that is looked up elsewhere may be any function."""
    if name in _ARITHMETIC:
        return
    parts = name.split(".")
    if parts[:3] == ["torch", "ops", "higher_order"] and len(parts) == 4 and parts[3] in _CONTROL_FLOW:
        return
    if parts[:2] == ["torch", "ops"] and len(parts) == 5 and parts[2] in _NAMESPACES and parts[3] not in _WITH_EFFECTS:
        packet = getattr(getattr(torch.ops, parts[2]), parts[3], None)
        if isinstance(getattr(packet, parts[4], None), torch._ops.OpOverload):
            return
    raise UnsafeProgramError(f"calls '{name[:80]}', which is no operator of ATen")


def _check_structure(text: str) -> None:
    """Check the structure of a program's inputs or outputs: tuples, lists and dicts, of which PyTorch imports none."""
    try:
        protocol, structure = json.loads(text)
        if protocol != 1:
            raise ValueError
        level, depth = [structure], 0
        while level:
            depth += 1
            if depth > _DEEPEST:
                raise ValueError
            for item in level:
                _check_container(item)
            level = [child for item in level for child in item["children_spec"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise UnsafeProgramError("takes or returns something else than tuples, lists and dicts of tensors") from None


def _check_container(item: Any) -> None:
    """Raise ValueError, TypeError or KeyError for a node of a structure that is no container or leaf."""
    kind, context = item["type"], item["context"]
    if kind is None and context is None and item["children_spec"] == []:
        return
    keys = json.loads(context)
    if kind not in _CONTAINERS or set(item) != {"type", "context", "children_spec"}:
        raise ValueError
    if keys is not None and not isinstance(keys, list):
        raise ValueError
    for key in keys or ():
        check_key(key)


def _check_range(name: str, bounds: Any) -> None:
    """Check a size's range; PyTorch counts up to the number in an unbacked size's name."""
    numbers = bounds.values() if isinstance(bounds, dict) else [bounds]
    if not _SIZE.fullmatch(name) or any(len(digits) > 6 for digits in re.findall(r"\d+", name)):
        raise UnsafeProgramError(f"holds the size {name[:40]!r}")
    if any(number is not None and type(number) not in (int, float) for number in numbers):
        raise UnsafeProgramError(f"holds a range of '{name[:40]}' that is not of numbers")
