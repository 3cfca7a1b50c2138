"""Grammars of the two kinds of expression in a `.pt2` that PyTorch evaluates: sizes (SymPy) and guards (Python)."""

from __future__ import annotations

import ast
import re
import warnings

from toolchain.exporters.saved_programs import UnsafeProgramError

_LONGEST = 4_000  # characters; sizes have tens
_DEEPEST = 40
_LARGEST_POWER = 16  # SymPy would compute 9**9**9

_TOKEN = re.compile(r"\s*(?:([A-Za-z_]\w*)|(-?\d+)|'([^'\\]*)'|([(),=])|(.))", re.ASCII | re.DOTALL)

# What `sympy.srepr` writes for sizes: SymPy's own classes, and those of torch/utils/_sympy/functions.py (PyTorch 2.13).
_CLASSES = frozenset(
    "Symbol Integer Rational Float Add Mul Pow Max Min Abs Mod floor ceiling And Or Not Equality Unequality "
    "StrictLessThan StrictGreaterThan LessThan GreaterThan Eq Ne Lt Le Gt Ge FloorDiv ModularIndexing Where PythonMod "
    "CleanDiv CeilToInt FloorToInt CeilDiv LShift RShift PowByNatural FloatPow FloatTrueDiv IntTrueDiv "
    "IsNonOverlappingAndDenseIndicator TruncToFloat TruncToInt RoundToInt RoundDecimal ToFloat Identity".split()
)
_CONSTANTS = frozenset("true false oo int_oo True False".split())
_POWERS = frozenset("Pow PowByNatural FloatPow LShift".split())
_SYMBOL = re.compile(r"[a-z]{1,3}\d{1,6}", re.ASCII)
_SYMBOL_NAME = re.compile(r"[A-Za-z_]\w{0,100}", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,25}(\.\d{0,25})?(e[+-]?\d{1,3})?", re.ASCII)

_GUARD_TEXT = re.compile(r"[\w\[\]'().,%*/<>=! +-]*", re.ASCII)
_GUARD_NODES = (
    ast.Expression, ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Compare, ast.And, ast.Or, ast.Not, ast.USub, ast.UAdd,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
    ast.Load,
)  # fmt: skip
_GUARD_METHODS = frozenset(("size", "stride", "storage_offset"))
_GUARD_FUNCTIONS = frozenset("max min abs int float bool floor ceil trunc sqrt isnan".split())


def check_size(text: str) -> None:
    """Check that a text is a size as `sympy.srepr` writes it: calls of known classes, symbols and numbers.

    Raises:
        UnsafeProgramError: it is something else.
    """
    if len(text) > _LONGEST:
        raise UnsafeProgramError(f"holds an expression of {len(text):,} characters")
    tokens = [match.groups() for match in _TOKEN.finditer(text.rstrip())]
    try:
        end = _expression(tokens, 0, 0, in_power=False)
    except (IndexError, ValueError):
        end = -1
    if end != len(tokens):
        raise UnsafeProgramError(f"holds the expression {text[:60]!r}, which is no size")


def check_guard(text: str) -> None:
    """Check that a text is a guard: comparisons of inputs' sizes, such as L['x'].size()[0] % 2 == 0.

    Raises:
        UnsafeProgramError: it is something else.
    """
    try:
        if len(text) <= _LONGEST and _GUARD_TEXT.fullmatch(text):
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # Python warns about numbers that touch words
                _check_guard(ast.parse(text, mode="eval"))
            return
    except (SyntaxError, SyntaxWarning, ValueError, RecursionError, MemoryError):
        pass
    raise UnsafeProgramError(f"holds the guard {text[:60]!r}, which is no comparison of sizes")


def _expression(tokens: list[tuple[str | None, ...]], at: int, depth: int, *, in_power: bool) -> int:
    """Read one expression, and return the position after it.

    Raises:
        ValueError, IndexError: there is none.
    """
    name, number, _, _, _ = tokens[at]
    if number is not None and len(number) <= 40:
        return at + 1
    if name is None or depth > _DEEPEST:
        raise ValueError
    if at + 1 == len(tokens) or tokens[at + 1][3] != "(":
        if name not in _CONSTANTS and not _SYMBOL.fullmatch(name):
            raise ValueError
        return at + 1
    if name not in _CLASSES or (name in _POWERS and in_power):
        raise ValueError
    if name in _POWERS:
        base_end = _expression(tokens, at + 2, depth + 1, in_power=True)
        _check_exponent(tokens[base_end : base_end + 6])
    at += 2
    while True:
        at = _argument(name, tokens, at, depth, in_power=in_power or name in _POWERS)
        mark = tokens[at][3]
        if mark == ")":
            return at + 1
        if mark != ",":
            raise ValueError
        at += 1


def _argument(call: str, tokens: list[tuple[str | None, ...]], at: int, depth: int, *, in_power: bool) -> int:
    name, _, string, _, _ = tokens[at]
    if string is not None:  # Symbol('s0', ...) and Float('0.5', ...) alone
        pattern = {"Symbol": _SYMBOL_NAME, "Float": _DECIMAL}[call] if call in ("Symbol", "Float") else None
        if pattern is None or not pattern.fullmatch(string):
            raise ValueError
        return at + 1
    if name is not None and tokens[at + 1][3] == "=":  # integer=True, precision=53
        value_name, value_number = tokens[at + 2][:2]
        if value_name not in ("True", "False") and (value_number is None or len(value_number) > 3):
            raise ValueError
        return at + 3
    return _expression(tokens, at, depth + 1, in_power=in_power)


def _check_exponent(tokens: list[tuple[str | None, ...]]) -> None:
    """Check that the tokens after a base are a comma and a small number, as it is or in Integer( )."""
    comma, first, *rest = tokens
    number = first[1] if first[1] is not None else rest[1][1] if first[0] == "Integer" else None
    if comma[3] != "," or number is None or len(number) > 3 or abs(int(number)) > _LARGEST_POWER:
        raise ValueError


def _check_guard(node: ast.AST) -> None:
    """Raise ValueError for a node that no guard has."""
    if isinstance(node, ast.Constant):
        if not isinstance(node.value, (int, float, bool)) or abs(node.value) > 1e20:
            raise ValueError
    elif isinstance(node, ast.Name):
        if node.id != "L":
            raise ValueError
    elif isinstance(node, ast.Subscript):
        _check_guard(node.value)
        key = node.slice
        if not isinstance(key, ast.Constant) or not isinstance(key.value, (int, str)):
            raise ValueError
    elif isinstance(node, ast.Call):
        _check_guard_call(node)
    elif isinstance(node, _GUARD_NODES):
        for child in ast.iter_child_nodes(node):
            _check_guard(child)
    else:
        raise ValueError


def _check_guard_call(node: ast.Call) -> None:
    called = node.func
    if isinstance(called, ast.Attribute) and called.attr in _GUARD_METHODS and not node.args:
        _check_guard(called.value)
    elif (isinstance(called, ast.Name) and called.id in _GUARD_FUNCTIONS) or (
        isinstance(called, ast.Attribute)
        and called.attr in _GUARD_FUNCTIONS
        and isinstance(called.value, ast.Name)
        and called.value.id == "math"
    ):
        for argument in node.args:
            _check_guard(argument)
    else:
        raise ValueError
    if node.keywords:
        raise ValueError
