"""The device profiles: complete, sourced, and agreed with the rules that decide a precision and a scheme."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench.machine import device_profiles
from runtimes.codec import decode, encode
from runtimes.profile import Gpu, HardwareProfile, Memory, QuantizationScheme
from runtimes.sampling.system_facts import _TELLING_FLAGS

CLASSES = ("x86-64-v3-avx2", "x86-64-v4-vnni", "x86-64-v4-bf16", "x86-64-amx")
PIS = ("rpi4", "rpi5")
JETSONS = (
    "jetson-nano",
    "jetson-tx2",
    "jetson-xavier-nx",
    "jetson-agx-xavier",
    "jetson-orin-nano",
    "jetson-orin-nx",
    "jetson-agx-orin",
    "jetson-thor",
)
CARDS = ("t4", "a10", "l4", "a100", "h100", "b200", "rtx-5090")
ALL = (*CLASSES, *PIS, *JETSONS, *CARDS)
PROFILES = {name: device_profiles.load(name) for name in ALL}

every_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
every_gpu = pytest.mark.parametrize("name", JETSONS + CARDS)


def test_names_every_device():
    assert device_profiles.names() == tuple(sorted(ALL))


@every_profile
def test_each_figure_has_a_source_and_each_source_a_figure(profile):
    assert set(profile.sources) == set(_figures(profile))
    assert all(len(source) > 10 for source in profile.sources.values())


@every_profile
def test_figures_are_positive_and_in_order(profile):
    assert all(value > 0 for value in _figures(profile).values() if isinstance(value, (int, float)))
    if profile.power:
        assert profile.power.min_w < profile.power.max_w
    if profile.gpu and profile.gpu.int8_tops and profile.gpu.sparse_int8_tops:
        assert 1.9 <= profile.gpu.sparse_int8_tops / profile.gpu.int8_tops <= 2.1


@every_profile
def test_peaks_are_of_precisions_that_the_device_computes_in(profile):
    computed = {precision for runtime in profile.runtimes for precision in profile.precisions[runtime]}
    assert set(profile.cpu.peak_gop_per_s) <= computed
    assert bool(profile.cpu.peak_gop_per_s) == (profile.gpu is None)


@every_profile
def test_isa_flags_are_those_that_detection_reads(profile):
    assert set(profile.cpu.isa) <= _TELLING_FLAGS
    assert profile.cpu.isa


def test_each_x86_class_asks_for_more_than_the_last():
    v3, v4, bf16, amx = (set(PROFILES[name].cpu.isa) for name in CLASSES)
    assert v3 < v4 < bf16
    assert v4 < amx  # whose own bf16 is faster, and detected first


@every_profile
def test_runtimes_best_first(profile):
    geforce = ("tensorrt-rtx",) if "GeForce" in profile.title else ()  # what NVIDIA made it for
    assert profile.runtimes == (("tensorrt", *geforce, "onnxruntime") if profile.gpu else ("onnxruntime", "openvino"))
    assert set(profile.precisions) == set(profile.runtimes)


@every_profile
def test_threads_are_a_boards_cores_and_one_elsewhere(profile):
    assert profile.threads == (profile.cpu.cores if profile.board else 1)


@every_gpu
def test_tensorrt_precisions_follow_the_compute_capability(name):
    gpu = PROFILES[name].gpu
    assert gpu is not None
    assert PROFILES[name].precisions["tensorrt"] == _tensorrt_precisions(gpu)


@pytest.mark.parametrize(
    ("name", "runtime"),
    [(name, r) for name, profile in PROFILES.items() for r in profile.runtimes if not r.startswith("tensorrt")],
)
def test_cpu_precisions_follow_the_instruction_set(name, runtime):
    profile = PROFILES[name]
    isa = set(profile.cpu.isa)
    expected = {"fp32", "int8"}
    if "asimdhp" in isa:
        expected.add("fp16")
    if runtime == "openvino" and isa & {"avx512_bf16", "amx_bf16"}:
        expected.add("bf16")
    if runtime == "openvino" and isa & {"avx512_fp16", "amx_fp16"}:
        expected.add("fp16")
    assert set(profile.precisions[runtime]) == expected


@every_profile
def test_int8_schemes_are_what_each_runtime_multiplies(profile):
    assert set(profile.quantization) == {r for r in profile.runtimes if "int8" in profile.precisions[r]}
    for runtime, scheme in profile.quantization.items():
        assert scheme == _scheme(profile, runtime), runtime


@every_gpu
def test_engines_are_typed_by_the_graph_where_tensorrt_can(name):
    settings = PROFILES[name].tensorrt
    assert settings.typing == ("weak" if settings.version.startswith("8.") else "strong")
    assert 0 < settings.workspace_mib * 2**20 <= PROFILES[name].memory.capacity_gb * 2**30 / 4


@every_profile
def test_tensorrt_comes_from_jetpack_on_a_jetson_and_from_pip_on_a_card(profile):
    if profile.gpu is None:
        assert profile.tensorrt is None
    elif profile.name in JETSONS:
        assert (profile.tensorrt.source, profile.tensorrt.jetpack is None) == ("jetpack", False)
    else:
        assert (profile.tensorrt.source, profile.tensorrt.jetpack) == ("pip", None)


@pytest.mark.parametrize(
    ("name", "version", "cuda", "jetpack"),
    [
        ("jetson-nano", "8.2.1", "10.2", "4.6.1"),
        ("jetson-tx2", "8.2.1", "10.2", "4.6.1"),
        ("jetson-xavier-nx", "8.5.2", "11.4", "5.1"),
        ("jetson-agx-xavier", "8.5.2", "11.4", "5.1"),
        ("jetson-orin-nano", "10.3.0", "12.6", "6.2"),
        ("jetson-orin-nx", "10.3.0", "12.6", "6.2"),
        ("jetson-agx-orin", "10.3.0", "12.6", "6.2"),
        ("jetson-thor", "10.13", "13.0", "7.1"),
    ],
)
def test_jetpack_decides_tensorrt_and_cuda(name, version, cuda, jetpack):
    tensorrt = PROFILES[name].tensorrt
    assert (tensorrt.version, tensorrt.cuda, tensorrt.jetpack) == (version, cuda, jetpack)


def test_only_what_qemu_translates_is_emulated():
    emulated = {name: profile.emulation.qemu_cpu for name, profile in PROFILES.items() if profile.emulation}
    assert emulated == {"x86-64-v3-avx2": "Haswell", "rpi4": "cortex-a72", "rpi5": "cortex-a76"}


def test_no_board_is_part_of_another():
    boards = [profile.board for profile in PROFILES.values() if profile.board]
    assert len(boards) == len(PIS) + len(JETSONS)
    assert not [(a, b) for a in boards for b in boards if a is not b and a in b]


_numbers = st.floats(min_value=0.001, max_value=1e6) | st.integers(min_value=1, max_value=10**6)


@given(
    name=st.sampled_from(ALL),
    threads=st.integers(min_value=1, max_value=1024),
    title=st.text(),
    board=st.none() | st.text(),
    capacity=_numbers,
    bandwidth=_numbers,
    precisions=st.lists(st.sampled_from(["fp32", "tf32", "fp16", "bf16", "int8", "fp8", "fp4"]), unique=True),
    scheme=st.builds(
        QuantizationScheme,
        activations=st.sampled_from(["uint8", "int8"]),
        symmetric=st.booleans(),
        per_channel=st.booleans(),
        reduce_range=st.booleans(),
        quantize_bias=st.booleans(),
    ),
    sources=st.dictionaries(st.text(), st.text()),
)
def test_any_profile_survives_its_json(name, threads, title, board, capacity, bandwidth, precisions, scheme, sources):
    runtime = PROFILES[name].runtimes[0]
    profile = dataclasses.replace(
        PROFILES[name],
        threads=threads,
        title=title,
        board=board,
        memory=Memory(capacity, bandwidth),
        precisions={**PROFILES[name].precisions, runtime: tuple(precisions)},
        quantization={**PROFILES[name].quantization, runtime: scheme},
        sources=sources,
    )
    assert decode(HardwareProfile, json.loads(json.dumps(encode(profile))), "a profile") == profile


def _figures(profile: HardwareProfile) -> dict[str, float | str]:
    """Every figure about the hardware, and the versions it comes with, by dotted key; unset ones left out."""
    return dict(_walk(profile))


def _walk(profile: HardwareProfile) -> Iterator[tuple[str, float | str]]:
    for table in ("cpu", "memory", "gpu", "power"):
        for key, value in encode(getattr(profile, table) or {}).items():
            no_figure = (key == "dla_cores" and value == 0) or value == {}
            is_figure = key in ("compute_capability", "peak_gop_per_s") or isinstance(value, (int, float))
            if is_figure and not no_figure:
                yield f"{table}.{key}", value
    if profile.tensorrt:
        yield "tensorrt.version", profile.tensorrt.version
        yield "tensorrt.cuda", profile.tensorrt.cuda


def _tensorrt_precisions(gpu: Gpu) -> tuple[str, ...]:
    major, minor = map(int, gpu.compute_capability.split("."))
    since = {
        "fp32": (0, 0),
        "tf32": (8, 0),
        "fp16": (0, 0),
        "bf16": (8, 0),
        "int8": (7, 2),
        "fp8": (8, 9),
        "fp4": (10, 0),
    }
    return tuple(precision for precision, first in since.items() if (major, minor) >= first)


def _scheme(profile: HardwareProfile, runtime: str) -> QuantizationScheme:
    if runtime.startswith("tensorrt"):
        return QuantizationScheme("int8", symmetric=True, quantize_bias=False, integer_constants=False)
    contrib_ops = runtime == "onnxruntime"  # com.microsoft's operators are its own
    if profile.arch == "aarch64":
        return QuantizationScheme(activations="int8", contrib_ops=contrib_ops)
    reduce_range = "avx512_vnni" not in profile.cpu.isa
    return QuantizationScheme(activations="uint8", reduce_range=reduce_range, contrib_ops=contrib_ops)
