from __future__ import annotations

from hwbench.wording import count, kept, recipe_name, some


def test_one_is_singular_and_thousands_are_grouped():
    assert [count(number, "kernel") for number in (0, 1, 2_000)] == ["0 kernels", "1 kernel", "2,000 kernels"]
    assert [count(number, "process", "processes") for number in (1, 6)] == ["1 process", "6 processes"]


def test_a_long_list_is_cut_and_says_so():
    assert some(["a", "b", "c"]) == "a, b, c"
    assert some(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert some(["a", "b"], 1) == "a and 1 more"


def test_layers_kept_in_float_are_named():
    assert kept({"keep": ["conv2"], "keep_in": "bf16"}) == "1 kept in bf16: conv2"
    assert kept({"keep": list("abcde")}) == "5 kept in fp32: a, b, c and 2 more"
    assert kept({"keep": list("abcde")}, most=None) == "5 kept in fp32: a, b, c, d, e"
    assert kept({"precision": "int8", "keep": []}) == kept({}) == ""


def test_a_recipe_from_a_damaged_file_says_nothing():
    assert kept({"keep": 5}) == kept({"keep": "conv2"}) == ""


def test_a_candidate_without_a_name_is_described():
    assert recipe_name("fp32", "onnxruntime", {}) == "fp32 (onnxruntime)"
    assert recipe_name("int8", "openvino", {"keep": ["a"]}) == "int8, 1 layer in fp32 (openvino)"
    assert recipe_name("int8", "openvino", {"keep": ["a", "b"]}) == "int8, 2 layers in fp32 (openvino)"
    half = {"keep": ["a"], "keep_in": "bf16"}
    assert recipe_name("int8", "openvino", half) == "int8 + bf16, 1 layer in bf16 (openvino)"
