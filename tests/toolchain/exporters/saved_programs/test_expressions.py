"""Sizes and guards: all that SymPy and PyTorch write is accepted, and nothing else."""

from __future__ import annotations

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as some
from torch.utils._sympy import functions

from toolchain.exporters.saved_programs import UnsafeProgramError
from toolchain.exporters.saved_programs.expressions import check_guard, check_size

SYMBOLS = [sympy.Symbol(name, positive=True, integer=True) for name in ("s0", "s77", "u1")]
sizes = some.recursive(
    some.sampled_from(SYMBOLS) | some.integers(-(10**4), 10**4).map(sympy.Integer),
    lambda inner: some.one_of(
        some.tuples(inner, inner).map(lambda pair: pair[0] + pair[1]),
        some.tuples(inner, inner).map(lambda pair: pair[0] * pair[1]),
        some.tuples(inner, some.integers(1, 9)).map(lambda pair: functions.FloorDiv(pair[0], sympy.Integer(pair[1]))),
        some.tuples(inner, some.integers(2, 9)).map(lambda pair: functions.Mod(sympy.Abs(pair[0]), pair[1])),
        some.tuples(inner, inner).map(lambda pair: sympy.Max(*pair)),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(sizes)
def test_what_sympy_writes_is_read(size):
    check_size(sympy.srepr(size))


@pytest.mark.parametrize(
    "text",
    [
        "s0",
        "Integer(-1)",
        "Pow(Symbol('s0', positive=True, integer=True), Integer(2))",
        "Equality(Symbol('u0', integer=True), Integer(3))",
        "Float('0.5', precision=53)",
        "Rational(1, 2)",
    ],
)
def test_other_forms_of_sizes(text):
    check_size(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "__import__('os')",
        "Symbol('s0').__class__",
        "Symbol('s0')()",
        "Symbol(__import__('os').system('id'))",
        "Symbol('s0', positive=exec('1'))",
        "Integer(2) and exec('1')",
        "Lambda(s0, s0)",
        "sympify('1')",
        "Add('exec(1)')",
        "Integer(2)\nexec('1')",
        "[s0 for s0 in (1,)]",
        "Pow(Integer(9), Pow(Integer(9), Integer(9)))",
        "Pow(Integer(9), Integer(99999999))",
        "Pow(Pow(Integer(9), Integer(9)), Integer(9))",
        "Pow(Mul(Integer(2), Pow(Integer(9), Integer(9))), Integer(9))",
        "LShift(Integer(1), Integer(99999999))",
        "Add(" * 60 + "s0" + ")" * 60,
        "Integer(" + "9" * 5000 + ")",
        "Symbol('s0'",
        "Symbol('s0'))",
        "Symbol('s0'),",
    ],
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(UnsafeProgramError):
        check_size(text)


@pytest.mark.parametrize(
    "text",
    [
        "(L['x'].size()[0] % 2) == 0",
        "2*L['args'][0].size()[1] <= 64 and L['k']['y'].size()[0] >= 2",
        "not (L['flat_args'][3].size()[0] == L['flat_args'][4].size()[0])",
        "math.trunc(L['x'].size()[0] / 2) > 1",
        "max(1, L['x'].size()[0]) != 7",
    ],
)
def test_guards_as_pytorch_writes_them(text):
    check_guard(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "__import__('os').system('id')",
        "L.__class__",
        "L['x'].__class__",
        "L['x'].size(exec)[0]",
        "L['x'].tofile('y')",
        "[1 for L in (1,)]",
        "(lambda: 1)()",
        "L[L['x']]",
        "exec('1')",
        "open('x')",
        "math.__loader__",
        "L['x\"+exec(1)+\"']",
        "f'{L}'",
        "9**9**9 == 1",
        "L['x'].size()[0] == 1\nexec('1')",
        "1 == 1) or exec('1'",
        "(" * 300 + "1" + ")" * 300,
    ],
)
def test_what_is_no_guard_is_refused(text):
    with pytest.raises(UnsafeProgramError):
        check_guard(text)


@settings(max_examples=300, deadline=None)
@given(some.text(alphabet="Symbol('s0',)Add[]. =x1", max_size=40))
def test_a_size_that_is_accepted_evaluates_to_a_number_or_a_symbol(text):
    try:
        check_size(text)
    except UnsafeProgramError:
        return
    try:
        found = sympy.sympify(text)
    except (TypeError, ValueError, sympy.SympifyError):
        return
    assert isinstance(found, (sympy.Basic, sympy.logic.boolalg.Boolean))
