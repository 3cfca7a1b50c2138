"""Multiply-accumulates by shapes, against sums written out."""

from __future__ import annotations

import pytest

from toolchain.analysis.macs import macs


@pytest.mark.parametrize(
    ("op", "inputs", "outputs", "expected"),
    [
        # 16 channels of 8 x 8, each from 3 channels and a 3 x 3 window
        ("Conv", [(2, 3, 8, 8), (16, 3, 3, 3), (16,)], [(2, 16, 8, 8)], 2 * 16 * 64 * 27),
        ("Conv", [(1, 32, 7, 7), (32, 1, 3, 3)], [(1, 32, 7, 7)], 32 * 49 * 9),  # depthwise: one channel each
        ("Conv", [(1, 4, 10), (6, 2, 5)], [(1, 6, 6)], 6 * 6 * 10),  # one dimension, two groups
        ("QLinearConv", [(1, 3, 8, 8), (), (), (4, 3, 1, 1), (4,), (4,), (), ()], [(1, 4, 8, 8)], 4 * 64 * 3),
        ("ConvInteger", [(1, 3, 8, 8), (4, 3, 1, 1)], [(1, 4, 8, 8)], 4 * 64 * 3),
        # 5 x 5 inputs of 8 channels, each into 4 channels of a 2 x 2 window
        ("ConvTranspose", [(1, 8, 5, 5), (8, 4, 2, 2)], [(1, 4, 10, 10)], 8 * 25 * 4 * 4),
        ("MatMul", [(12, 7, 64), (64, 5)], [(12, 7, 5)], 12 * 7 * 5 * 64),
        ("MatMul", [(2, 12, 7, 64), (2, 12, 64, 7)], [(2, 12, 7, 7)], 2 * 12 * 49 * 64),
        ("MatMul", [(64,), (64,)], [()], 64),
        ("QLinearMatMul", [(7, 64), (), (), (64, 5), (), (), (), ()], [(7, 5)], 7 * 5 * 64),
        ("MatMulInteger", [(7, 64), (64, 5), ()], [(7, 5)], 7 * 5 * 64),
        ("Gemm", [(7, 64), (5, 64), (5,)], [(7, 5)], 7 * 5 * 64),
        ("Gemm", [(64, 7), (64, 5)], [(7, 5)], 7 * 5 * 64),  # A transposed
        ("Gemm", [(0, 64), (64, 5)], [(0, 5)], 0),
        # 32 steps of 2 sequences, two directions: four gates of 16 units from 10 inputs and 16 states
        ("LSTM", [(32, 2, 10), (2, 64, 10), (2, 64, 16)], [(32, 2, 2, 16)], 32 * 2 * 2 * 64 * 26),
        ("GRU", [(32, 1, 10), (1, 48, 10), (1, 48, 16)], [(32, 1, 1, 16)], 32 * 48 * 26),
        ("Relu", [(1, 3, 8, 8)], [(1, 3, 8, 8)], 0),
        ("DequantizeLinear", [(4, 3), (4,), (4,)], [(4, 3)], 0),
    ],
)
def test_counts(op, inputs, outputs, expected):
    assert macs(op, "", inputs, outputs) == expected


def test_com_microsofts_integer_products_count_like_their_own_forms():
    assert macs("DynamicQuantizeMatMul", "com.microsoft", [(7, 64), (64, 5)], [(7, 5)]) == 7 * 5 * 64
    lstm = [(32, 2, 10), (1, 10, 64), (1, 16, 64)]
    assert macs("DynamicQuantizeLSTM", "com.microsoft", lstm, [(32, 1, 2, 16)]) == 32 * 2 * 64 * 26


@pytest.mark.parametrize("op", ["QuantizeLinear", "QLinearAdd", "QLinearGlobalAveragePool", "FastGelu"])
def test_com_microsofts_operators_without_products_count_as_none(op):
    assert macs(op, "com.microsoft", [(2, 3), (), ()], [(2, 3)]) == 0


def test_of_an_operator_whose_domain_is_unknown_the_type_tells():
    assert macs("DynamicQuantizeMatMul", None, [(7, 64), (64, 5)], [(7, 5)]) == 7 * 5 * 64
    assert macs("MatMul", None, [(7, 64), (64, 5)], [(7, 5)]) == 7 * 5 * 64
    assert (macs("Relu", None, [(2,)], [(2,)]), macs("Einsum", None, [(2,)], [(2,)])) == (0, None)


@pytest.mark.parametrize(
    ("op", "domain"),
    [
        *(("Einsum", ""), ("Attention", ""), ("Attention", "com.microsoft"), ("MatMulNBits", "com.microsoft")),
        *(("Secret", "my.domain"), ("MatMul", "my.domain")),
    ],
)
def test_what_shapes_do_not_tell_is_unknown_and_not_none(op, domain):
    assert macs(op, domain, [(2, 3), (3, 4)], [(2, 4)]) is None


@pytest.mark.parametrize(("op", "inputs"), [("LSTM", [(5, 1, 32)]), ("Conv", [(1, 3, 8, 8)]), ("MatMul", [])])
def test_a_shape_that_is_missing_leaves_the_count_unknown(op, inputs):
    assert macs(op, "", inputs, [(1, 4)]) is None
