"""The planner, over every device, dialect and precision."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planned_devices import IMAGE, PROFILES, STATIC, on

from hwbench.machine import device_profiles
from runtimes.bundles.build_plan import BuildPlan
from runtimes.codec import decode, encode
from runtimes.errors import UnsupportedError, UsageError
from runtimes.profile import HardwareProfile, TensorRT
from toolchain.engines import releases
from toolchain.engines.planner import plan_engine

PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8", "fp8", "fp4")
# (version, typing) of each dialect, from the oldest of a JetPack to the newest on the index
RELEASES = [("8.2.1", "weak"), ("8.5.2", "weak"), ("8.6.2", "weak"), ("10.3.0", "strong"), ("10.3.0", "weak")]
RELEASES += [("10.7.0", "strong"), ("10.13.3", "strong"), ("10.16.2", "strong"), ("11.4", "strong")]


def refusal(profile: HardwareProfile, *arithmetic: str, **options: object) -> str:
    with pytest.raises(UnsupportedError) as error:
        plan_engine(profile, [STATIC], arithmetic or ("fp32",), **options)
    return str(error.value)


def trial(*request: object, **options: object) -> tuple[BuildPlan | None, str]:
    """A plan, or why there is none."""
    try:
        return plan_engine(*request, **options), ""
    except UnsupportedError as error:
        return None, str(error)


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_each_device_computes_in_what_its_profile_lists_and_refuses_the_rest(name, precision):
    profile = PROFILES[name]
    if precision in profile.precisions["tensorrt"]:
        plan = plan_engine(profile, [IMAGE], (precision,))
        assert (plan.device, plan.runtime, plan.arithmetic) == (name, "tensorrt", (precision,))
        assert (plan.version, plan.cuda) == (profile.tensorrt.version, profile.tensorrt.cuda)
        assert plan.compute_capability == profile.gpu.compute_capability
    else:
        words = refusal(profile, precision)
        assert precision in words
        assert profile.gpu.compute_capability in words


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize(("version", "typing"), RELEASES)
def test_each_release_speaks_its_dialect_or_refuses_the_chip(name, version, typing):
    profile = on(name, version=version, typing=typing)
    chip = releases.parse(profile.gpu.compute_capability)
    plan, why = trial(profile, [IMAGE], ("fp32", "fp16"))
    if plan is None:
        assert why.startswith(f"TensorRT {version} ")
        assert chip < (7, 5) or chip > (8, 6)
        return
    assert plan.dialect == version.partition(".")[0]
    assert plan.typing == typing
    assert ("EXPLICIT_BATCH" in plan.network_flags) == (plan.dialect == "8")
    assert ("STRONGLY_TYPED" in plan.network_flags) == (plan.dialect == "10" and typing == "strong")
    assert ("FP16" in plan.builder_flags) == (typing == "weak")
    assert ("TF32" in plan.builder_flags) == (chip >= (8, 0))
    assert (plan.optimization_level is None) == (releases.parse(version) < (8, 6))


@given(
    name=st.sampled_from(sorted(PROFILES)),
    version=st.tuples(st.sampled_from([7, 8, 9, 10, 11, 12]), st.integers(0, 20), st.integers(0, 3)),
    settings=st.fixed_dictionaries(
        {
            "typing": st.sampled_from(["weak", "strong"]),
            "optimization_level": st.integers(0, 5),
            "hardware_compatibility": st.sampled_from(["none", "ampere_plus", "same_compute_capability"]),
            "version_compatible": st.booleans(),
            "dla_core": st.none() | st.integers(0, 2),
        }
    ),
    arithmetic=st.lists(st.sampled_from(PRECISIONS), min_size=1, unique=True),
    spec=st.sampled_from([IMAGE, STATIC]),
    runtime=st.sampled_from(["tensorrt", "tensorrt-rtx"]),
)
def test_every_request_gets_a_plan_that_its_release_understands_or_a_sentence(
    name, version, settings, arithmetic, spec, runtime
):
    profile = on(name, version=".".join(map(str, version)), **settings)
    plan, why = trial(profile, [spec], arithmetic, runtime=runtime)
    if plan is None:
        assert why.endswith(".")
        return
    weak_flags = {"FP16", "BF16", "INT8", "FP8", "FP4"} & set(plan.builder_flags)
    assert not weak_flags or plan.typing == "weak"
    assert plan.dialect not in ("11", "rtx") or plan.typing == "strong"
    assert plan.dialect != "8" or plan.typing == "weak"
    assert plan.dla_core is None or (profile.gpu.dla_cores > plan.dla_core and "GPU_FALLBACK" in plan.builder_flags)
    assert bool(plan.optimization_profiles) == (spec is IMAGE)
    assert decode(BuildPlan, encode(plan), "a plan") == plan


def test_the_precision_is_in_the_graph_so_a_typed_plan_does_not_name_it():
    fp16, int8 = (plan_engine(PROFILES["l4"], [IMAGE], ("fp32", p)) for p in ("fp16", "int8"))
    assert dataclasses.replace(fp16, arithmetic=int8.arithmetic) == int8


def test_refusals_of_the_chip():
    assert refusal(PROFILES["t4"], "bf16") == "Compute capability 7.5 has no bf16 arithmetic; 8.0 is the first with it."
    assert refusal(PROFILES["a10"], "fp8") == "Compute capability 8.6 has no fp8 arithmetic; 8.9 is the first with it."


def test_a_release_that_dropped_the_chip_or_does_not_know_it():
    rejected = refusal(on("jetson-xavier-nx", version="10.7.0", typing="strong"))
    assert "TensorRT 10.7.0 has dropped compute capability 7.2: since 10.5" in rejected
    assert "7.5 and later" in rejected
    assert "compute capability 12.0; 10.8 is the first" in refusal(on("rtx-5090", version="10.3.0"))
    assert "TensorRT 9.3.0; it supports the releases 8, 10 and 11" in refusal(on("l4", version="9.3.0"))


def test_typing_that_the_release_does_not_have():
    assert 'set typing = "weak"' in refusal(on("jetson-nano", typing="strong"))
    assert 'set typing = "strong"' in refusal(on("l4", typing="weak"))


def test_a_dla_core_with_the_gpu_where_it_cannot():
    plan = plan_engine(on("jetson-agx-orin", dla_core=1, typing="weak"), [STATIC], ("fp32", "fp16"))
    assert (plan.dla_core, plan.typing) == (1, "weak")
    assert {"FP16", "GPU_FALLBACK"} <= set(plan.builder_flags)
    again = plan_engine(on("jetson-agx-orin", version="11.4.1", dla_core=0), [STATIC], ("fp32", "int8"))
    assert (again.typing, again.builder_flags) == ("strong", ("TF32", "GPU_FALLBACK"))


@pytest.mark.parametrize(
    ("name", "settings", "arithmetic", "words"),
    [
        ("jetson-orin-nano", {"dla_core": 0}, "fp16", "has no DLA"),
        ("jetson-agx-orin", {"dla_core": 2}, "fp16", "has DLA cores 0 to 1, no 2"),
        ("jetson-agx-orin", {"dla_core": 0, "version": "10.13"}, "fp16", "TensorRT 10.13 has no DLA"),
        ("jetson-agx-orin", {"dla_core": 0, "version": "11.3.0"}, "fp16", "TensorRT 11.3.0 has no DLA"),
        ("jetson-agx-orin", {"dla_core": 0}, "fp16", "takes no typed graph"),
        ("jetson-agx-orin", {"dla_core": 0, "typing": "weak"}, "int8", "takes no Q/DQ graph"),
        ("jetson-agx-orin", {"dla_core": 0, "typing": "weak"}, "bf16", "computes in fp16 and int8, not in bf16"),
    ],
)
def test_dla_that_is_not_there(name, settings, arithmetic, words):
    assert words in refusal(on(name, **settings), arithmetic)


def test_dla_takes_fixed_shapes():
    profile = on("jetson-agx-orin", dla_core=0, typing="weak")
    with pytest.raises(UnsupportedError, match="fixed shapes"):
        plan_engine(profile, [IMAGE], ("fp16",))
    assert plan_engine(profile, [IMAGE], ("fp16",), ranges=[{"N": (4, 4, 4)}]).dla_core == 0


def test_compatibility():
    plan = plan_engine(on("a10", hardware_compatibility="ampere_plus", version_compatible=True), [STATIC], ("fp32",))
    assert plan.hardware_compatibility == "ampere_plus"
    assert "VERSION_COMPATIBLE" in plan.builder_flags
    assert "older than Ampere" in refusal(on("t4", hardware_compatibility="ampere_plus"))
    assert "10.13 is the first" in refusal(
        on("a10", version="10.7.0", hardware_compatibility="same_compute_capability")
    )
    assert "8.6 is the first" in refusal(on("jetson-nano", version_compatible=True))
    assert "JetPack" in refusal(on("jetson-orin-nx", hardware_compatibility="ampere_plus"))


def test_tensorrt_rtx_has_targets_of_its_own():
    plan = plan_engine(PROFILES["rtx-5090"], [STATIC], ("fp32", "bf16"), runtime="tensorrt-rtx")
    assert (plan.runtime, plan.dialect, plan.version) == ("tensorrt-rtx", "rtx", releases.RTX_VERSION)
    assert not plan.timing_cache
    assert "no target for compute capability 8.7" in refusal(PROFILES["jetson-orin-nano"], runtime="tensorrt-rtx")
    for settings in ({"version_compatible": True}, {"hardware_compatibility": "ampere_plus"}, {"dla_core": 0}):
        assert "tensorrt-rtx" in refusal(on("rtx-5090", **settings), runtime="tensorrt-rtx")


def test_what_builds_no_engines():
    with pytest.raises(UsageError, match=r"rpi5 has no \[gpu\]"):
        plan_engine(device_profiles.load("rpi5"), [STATIC], ("fp32",))
    with pytest.raises(UsageError, match="'openvino' builds no engines"):
        plan_engine(PROFILES["l4"], [STATIC], ("fp32",), runtime="openvino")


@pytest.mark.parametrize("wrong", [{"version": "eleven"}, {"optimization_level": 6}, {"workspace_mib": 0}])
def test_settings_that_cannot_be(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TensorRT(**{"version": "11.4", "cuda": "13", "source": "pip", "typing": "strong", "workspace_mib": 1, **wrong})
