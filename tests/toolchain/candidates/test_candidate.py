"""Candidates tried for a profile, and those refused before they are tried."""

from __future__ import annotations

import ast
import dataclasses
import subprocess
import sys

import pytest

from hwbench.machine import device_profiles
from runtimes import plugins
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import NotInstalledError, UsageError
from runtimes.profile import QuantizationScheme
from toolchain.candidates import candidate, defaults
from toolchain.candidates.candidate import Candidate, list_candidates, marked
from toolchain.quantizers import precisions, quantizer
from toolchain.recipes.recipe import Recipe


def test_every_quantizer_is_a_precision_and_the_reference_is_first():
    assert precisions()[0] == "fp32"
    assert sorted(precisions()) == sorted(plugins.names("toolchain.quantizers"))
    assert {"fp32", "fp16", "bf16", "int8", "int8-dynamic", "fp16-storage", "bf16-storage"} <= set(precisions())


@pytest.mark.parametrize(
    ("precision", "computes_in"),
    [("fp32", "fp32"), ("fp16-storage", "fp32"), ("int8-dynamic", "int8"), ("int8", "int8"), ("bf16", "bf16")],
)
def test_a_precision_says_what_it_computes_in(precision, computes_in):
    assert computes_in == quantizer(precision).COMPUTES_IN


def test_tries_every_precision_on_every_runtime(device):
    listed = list_candidates(device)
    assert [(c.recipe.precision, c.runtime) for c in listed] == [
        (precision, runtime) for runtime in ("onnxruntime", "null") for precision in precisions()
    ]
    assert {c.settings.threads for c in listed} == {device.threads}


def test_tries_what_was_asked_for(device):
    listed = list_candidates(device, ["int8", "fp32"], ["null"], threads=3)
    assert [c.name for c in listed] == ["int8 (null)", "fp32 (null)"]
    assert {c.settings.threads for c in listed} == {3}


def test_what_the_runtime_cannot_compute_is_a_row_with_the_reason_and_a_way_out(device):
    refusals = {c.recipe.precision: c.refusal for c in list_candidates(device, runtimes=["onnxruntime"])}
    assert {p for p, refusal in refusals.items() if refusal is None} >= {"fp32", "int8", "int8-dynamic", "fp16-storage"}
    for precision in ("fp16", "bf16"):
        assert refusals[precision] == (
            f"onnxruntime has no {precision} arithmetic on bench. "
            f"{precision}-storage makes the file smaller and computes in fp32."
        )


def test_int8_follows_the_profiles_scheme(device):
    recipes = {c.name: c.recipe for c in list_candidates(device, ["fp32", "int8", "int8-dynamic", "int8-storage"])}
    assert recipes["int8 (onnxruntime)"].scheme == QuantizationScheme(reduce_range=True)
    assert recipes["int8 (onnxruntime)"].calibration is not None
    assert recipes["int8 (null)"].scheme == QuantizationScheme()
    assert recipes["int8-dynamic (onnxruntime)"].calibration is None
    assert recipes["int8-storage (onnxruntime)"] == Recipe("int8-storage", None, QuantizationScheme(reduce_range=True))
    assert recipes["fp32 (onnxruntime)"].scheme is None


def test_a_runtime_that_nothing_is_built_for_is_one_row(device, monkeypatch):
    device = dataclasses.replace(device, runtimes=("openvx",), precisions={"openvx": ("fp32",)}, quantization={})
    (row,) = list_candidates(device)
    assert (row.name, row.refusal) == ("any (openvx)", "This release of edgewright does not build for openvx.")


def test_a_runtime_that_is_not_installed_is_one_row_with_the_line_that_installs_it(device, monkeypatch):
    def missing(*_):
        raise NotInstalledError("install it with: pip install 'edgewright[onnxruntime]'")

    monkeypatch.setattr(candidate, "builder", missing)
    assert [c.refusal for c in list_candidates(device, runtimes=["null"])] == [
        "install it with: pip install 'edgewright[onnxruntime]'"
    ]


def test_without_its_package_openvino_is_one_row_with_the_line_that_installs_it():
    program = (
        "import sys; sys.modules['openvino'] = None\n"  # as Python finds a package that is not installed
        "from hwbench.machine import device_profiles\nfrom toolchain.candidates.candidate import list_candidates\n"
        "listed = list_candidates(device_profiles.load('x86-64-amx'))\n"
        "print(*((c.name, c.refusal) for c in listed if c.runtime == 'openvino'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ast.literal_eval(done.stdout) == (
        "any (openvino)",
        "The runtime 'openvino' needs the package 'openvino'; install it with: pip install 'edgewright[openvino]'",
    )


def test_openvino_is_told_what_to_compute_in():
    pytest.importorskip("openvino", reason="openvino is not installed")
    listed = {
        c.name: c for c in list_candidates(device_profiles.load("x86-64-amx"), ["fp32", "bf16", "int8"], ["openvino"])
    }
    told = {name: (c.recipe.precision, dict(c.settings.options)) for name, c in listed.items()}
    assert told == {
        "fp32 (openvino)": ("fp32", {}),
        "bf16-storage + bf16 (openvino)": ("bf16-storage", {"inference_precision": "bf16"}),
        "int8 (openvino)": ("int8", {}),
        "int8 + bf16 (openvino)": ("int8", {"inference_precision": "bf16"}),
    }
    assert {c.refusal for c in listed.values()} == {None}
    (refused,) = list_candidates(device_profiles.load("x86-64-v3-avx2"), ["bf16"], ["openvino"])
    assert refused.refusal.startswith("openvino has no bf16 arithmetic on x86-64-v3-avx2.")


def test_files_that_tensorrts_parser_does_not_read_are_refused():
    listed = {c.recipe.precision: c.refusal for c in list_candidates(device_profiles.load("l4"), runtimes=["tensorrt"])}
    assert {precision for precision, refusal in listed.items() if refusal} == {"int8-dynamic", "int8-storage"}
    assert listed["int8-dynamic"].startswith("TensorRT's parser takes no DynamicQuantizeLinear")
    assert listed["int8-storage"].startswith("TensorRT's parser takes int8 constants before a DequantizeLinear alone")


@pytest.mark.parametrize("name", device_profiles.names())
def test_every_profile_has_candidates(name):
    listed = list_candidates(device_profiles.load(name))
    assert any(c.refusal is None for c in listed if c.runtime == "onnxruntime")
    assert len({c.name for c in listed}) == len(listed)


def test_unknown_words_are_answered_with_the_choices(device):
    with pytest.raises(UsageError, match=r"^Unknown precision 'fp61'; choose from fp32, .*int8"):
        list_candidates(device, ["fp61"])
    with pytest.raises(UsageError, match=r"^Profile bench has no runtime 'tensorrt'; choose from onnxruntime, null\.$"):
        list_candidates(device, runtimes=["tensorrt"])


def test_corrections_can_be_chosen_and_left_out(device):
    assert defaults.corrections() == defaults.DEFAULT_CORRECTIONS
    assert defaults.corrections(["bias", "tail", "bias"]) == ("bias", "tail")
    assert defaults.corrections(["none"]) == ()
    recipes = {c.recipe.precision: c.recipe for c in list_candidates(device, ["int8", "fp32"], corrections=["bias"])}
    assert recipes["int8"].corrections == ("bias",)
    assert recipes["fp32"].corrections == ()


@pytest.mark.parametrize("wanted", [["magic"], ["none", "bias"]])
def test_an_unknown_correction_is_refused(wanted):
    with pytest.raises(UsageError, match="choose from bias, equalization, rounding, smoothing, tail, or none alone"):
        defaults.corrections(wanted)


def test_every_correction_says_when_it_runs():
    names = plugins.names("toolchain.corrections")
    stages = {plugins.load("toolchain.corrections", name, "correction").STAGE for name in names}
    assert stages == {"before", "after"}
    assert set(defaults.DEFAULT_CORRECTIONS) <= set(names)


def test_sessions_start_with_the_profiles_options(device):
    quiet = dataclasses.replace(device, options={"onnxruntime": {"spinning": "0"}})
    assert {c.runtime: c.settings.options for c in list_candidates(quiet)} == {
        "onnxruntime": {"spinning": "0"},
        "null": {},
    }


@pytest.mark.parametrize(
    ("recipe", "variant", "name"),
    [
        (Recipe("int8", "minmax"), "", "int8 (onnxruntime)"),
        (Recipe("int8", "minmax", keep=("a",)), "", "int8, 1 layer in fp32 (onnxruntime)"),
        (Recipe("int8", "minmax", keep=("a", "b"), keep_in="bf16"), "", "int8 + bf16, 2 layers in bf16 (onnxruntime)"),
        (Recipe("int8", "entropy"), "2 threads", "int8, entropy ranges (onnxruntime), 2 threads"),
    ],
)
def test_a_name_tells_precision_layers_in_float_runtime_and_settings(recipe, variant, name):
    assert Candidate(recipe, "onnxruntime", RuntimeSettings(2), variant=variant).name == name


def test_only_a_set_of_layers_that_would_share_a_name_with_another_gets_a_digest():
    first, second, third = (
        Candidate(Recipe("int8", "minmax", keep=keep), "onnxruntime", RuntimeSettings(2))
        for keep in (("a",), ("b",), ("a", "b"))
    )
    assert marked(first, []) == marked(first, [first, third]) == first
    assert marked(first, [first]).name == first.name
    told = marked(second, [first])
    assert told.name.startswith(f"{first.name}, set ")
    assert marked(told, [third]).name == first.name  # nothing clashes, so nothing is marked
    assert marked(second, [first, told]).name == told.name  # the same candidate once more
