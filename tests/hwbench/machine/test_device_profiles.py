"""Finding, reading and detecting profiles; what a wrong one is told."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import pytest

from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine
from runtimes.errors import UsageError

AVX2 = ("avx", "avx2", "f16c", "fma")
VNNI = (*AVX2, "avx512bw", "avx512dq", "avx512f", "avx512vl", "avx512_vnni")
AMX = (*VNNI, "amx_bf16", "amx_int8", "amx_tile", "avx512_bf16", "avx512_fp16")
A57 = ("asimd",)
A76 = ("asimd", "asimddp", "asimdhp", "fphp")


def machine(
    isa: tuple[str, ...], arch: str = "x86_64", board: str | None = None, gpus: tuple[str, ...] = ()
) -> Machine:
    return Machine(
        arch=arch,
        cpu="Some CPU",
        isa=tuple(sorted(isa)),
        cores=4,
        memory_bytes=8 * 2**30,
        system="Linux 6.8.0",
        python="3.12.3",
        board=board,
        gpus=gpus,
    )


@pytest.mark.parametrize(
    ("isa", "expected"),
    [
        pytest.param(AVX2, "x86-64-v3-avx2", id="laptop"),
        pytest.param((*AVX2, "avx_vnni"), "x86-64-v3-avx2", id="laptop-with-avx-vnni"),
        pytest.param(VNNI, "x86-64-v4-vnni", id="server"),
        pytest.param(tuple(set(VNNI) - {"avx512_vnni"}), "x86-64-v3-avx2", id="avx512-without-vnni"),
        pytest.param((*VNNI, "avx512_bf16"), "x86-64-v4-bf16", id="server-with-bf16"),
        pytest.param((*AMX, "avx512_bf16"), "x86-64-amx", id="amx-server-with-bf16"),
        pytest.param(AMX, "x86-64-amx", id="amx-server"),
        pytest.param((*AMX, "amx_fp16"), "x86-64-amx", id="newer-amx-server"),
    ],
)
def test_detects_the_class_that_asks_for_most(isa, expected):
    assert device_profiles.detect(machine(isa)).name == expected


@pytest.mark.parametrize(
    ("gpu", "expected"),
    [
        ("Tesla T4, 7.5", "t4"),
        ("NVIDIA A10, 8.6", "a10"),
        ("NVIDIA L4, 8.9", "l4"),
        ("NVIDIA A100-SXM4-80GB, 8.0", "a100"),
        ("NVIDIA H100 80GB HBM3, 9.0", "h100"),
        ("NVIDIA B200, 10.0", "b200"),
        ("NVIDIA GeForce RTX 5090, 12.0", "rtx-5090"),
    ],
)
@pytest.mark.parametrize("isa", [AVX2, AMX], ids=["avx2", "amx"])
def test_a_card_goes_before_its_host(gpu, expected, isa):
    assert device_profiles.detect(machine(isa, gpus=(gpu,))).name == expected


@pytest.mark.parametrize(
    "gpu",
    [
        "NVIDIA L40S, 8.9",
        "NVIDIA A10G, 8.6",
        "NVIDIA RTX A1000, 8.6",
        "NVIDIA T400, 7.5",
        "NVIDIA GeForce RTX 5090 Laptop GPU, 12.0",
        "NVIDIA L4, 8.6",
    ],
)
def test_a_name_that_only_looks_alike_is_not_the_card(gpu):
    assert device_profiles.detect(machine(VNNI, gpus=(gpu,))).name == "x86-64-v4-vnni"


def test_one_of_several_cards_is_enough():
    both = ("NVIDIA GeForce GTX 1080, 6.1", "NVIDIA L4, 8.9")
    assert device_profiles.detect(machine(VNNI, gpus=both)).name == "l4"


@pytest.mark.parametrize(
    ("board", "isa", "expected"),
    [
        ("Raspberry Pi 4 Model B Rev 1.4", A57, "rpi4"),
        ("Raspberry Pi 5 Model B Rev 1.0", A76, "rpi5"),
        ("NVIDIA Jetson Nano Developer Kit", A57, "jetson-nano"),
        ("quill", A57, "jetson-tx2"),
        ("NVIDIA Jetson Xavier NX Developer Kit", ("asimd", "asimdhp", "fphp"), "jetson-xavier-nx"),
        ("Jetson-AGX", ("asimd", "asimdhp", "fphp"), "jetson-agx-xavier"),
        ("NVIDIA Orin Nano Developer Kit", A76, "jetson-orin-nano"),
        ("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", A76, "jetson-orin-nano"),
        ("NVIDIA Jetson Orin NX Engineering Reference Developer Kit", A76, "jetson-orin-nx"),
        ("NVIDIA Jetson AGX Orin Developer Kit", A76, "jetson-agx-orin"),
        ("NVIDIA Jetson AGX Thor Developer Kit", (*A76, "i8mm", "bf16", "sve2"), "jetson-thor"),
    ],
)
def test_detects_a_board_by_its_device_tree(board, isa, expected):
    assert device_profiles.detect(machine(isa, "aarch64", board)).name == expected


def test_a_jetson_is_known_with_and_without_nvidia_smi():
    board = "NVIDIA Jetson AGX Orin Developer Kit"
    assert device_profiles.detect(machine(A76, "aarch64", board, ("Orin (nvgpu), 8.7",))).name == "jetson-agx-orin"
    assert device_profiles.detect(machine(A76, "aarch64", board, ())).name == "jetson-agx-orin"


@pytest.mark.parametrize(
    "unknown",
    [
        pytest.param(machine(("avx",)), id="x86-without-avx2"),
        pytest.param(machine(A76, "aarch64"), id="arm-server"),
        pytest.param(machine(A57, "aarch64", "NVIDIA Jetson Nano 2GB Developer Kit"), id="smaller-board"),
        pytest.param(machine((), "riscv64"), id="other-architecture"),
        pytest.param(machine((), "armv7l", "Raspberry Pi 4 Model B Rev 1.4"), id="32-bit-system"),
    ],
)
def test_a_machine_that_nothing_fits_is_told_what_to_do(unknown):
    with pytest.raises(UsageError, match=rf"{unknown.arch}, Some CPU.*--profile FILE\.toml"):
        device_profiles.detect(unknown)


def test_an_unknown_name_is_answered_with_the_choices():
    with pytest.raises(UsageError, match=r"Unknown profile 'rpi6'; choose from .*rpi4, rpi5.*\.toml"):
        device_profiles.load("rpi6")


def test_loads_a_file_of_the_users_own(tmp_path):
    path = tmp_path / "my-board.toml"
    text = _rpi5().replace('name = "rpi5"', 'name = "my-board"')
    path.write_text(text.replace("capacity_gb = 8", "capacity_gb = 16"))
    profile = device_profiles.load(str(path))
    assert (profile.name, profile.memory.capacity_gb) == ("my-board", 16.0)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.toml' cannot be read: .*No such file"):
        device_profiles.load(str(tmp_path / "nowhere.toml"))


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "rpi5.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"rpi5\.toml' cannot be read"):
        device_profiles.load(str(tmp_path / "rpi5.toml"))


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        pytest.param("threads = 4", "threads = 4\nthread = 4", ("'thread'", "one of", "threads"), id="unknown"),
        pytest.param("[memory]", "[memory]\nsize = 8", ("'memory.size'", "capacity_gb"), id="unknown-below"),
        pytest.param("capacity_gb = 8\n", "", ("'memory.capacity_gb'", "missing", "a number"), id="missing"),
        pytest.param("threads = 4\n", "", ("'threads'", "missing", "an integer"), id="missing-on-top"),
        pytest.param("cores = 4", 'cores = "four"', ("'cpu.cores'", "an integer", "'four'"), id="text-for-integer"),
        pytest.param("cores = 4", "cores = true", ("'cpu.cores'", "an integer", "True"), id="truth-for-integer"),
        pytest.param("cores = 4", "cores = 4.5", ("'cpu.cores'", "an integer", "4.5"), id="fraction-for-integer"),
        pytest.param('runtimes = ["onnx', 'runtimes = "tvm" # ["onnx', ("'runtimes'", "a list", "'tvm'"), id="no-list"),
        pytest.param('"asimd", ', '"asimd", 3, ', ("'cpu.isa[1]'", "a string", "3"), id="inside-a-list"),
        pytest.param('arch = "aarch64"', 'arch = "arm64"', ("'arch'", "x86_64, aarch64", "'arm64'"), id="no-such-arch"),
        pytest.param(
            'onnxruntime = ["fp32", "fp16"',
            'onnxruntime = ["fp32", "fp61"',
            ("'precisions.onnxruntime[1]'", "one of fp32", "'fp61'"),
            id="no-such-precision",
        ),
        pytest.param(
            'activations = "int8"',
            'activations = "int4"',
            ("'quantization.onnxruntime.activations'", "uint8, int8", "'int4'"),
            id="no-such-scheme",
        ),
        pytest.param(
            'runtimes = ["onnxruntime", "openvino"]',
            'runtimes = ["onnxruntime", "tvm"]',
            ("'tvm'", "[precisions]"),
            id="runtime-without-precisions",
        ),
        pytest.param("threads = 4", "threads = 0", ("threads = 0", "at least 1"), id="no-threads"),
        pytest.param(
            "[memory]",
            '[gpu]\nmodel = "?"\ncompute_capability = "eight"\n\n[memory]',
            ("'gpu'", "compute_capability 'eight'", "'8.7'"),
            id="no-capability",
        ),
        pytest.param("[memory]", "[memory", ("not valid TOML", "line"), id="bad-toml"),
        pytest.param('name = "rpi5"', 'name = "rpi4"', ("'name'", "'rpi5'", "'rpi4'"), id="another-name"),
    ],
)
def test_a_wrong_profile_is_told_the_file_the_key_and_what_was_expected(tmp_path, good, bad, told):
    assert good in _rpi5()
    path = tmp_path / "rpi5.toml"
    path.write_text(_rpi5().replace(good, bad, 1))
    with pytest.raises(UsageError) as caught:
        device_profiles.load(str(path))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert [part for part in told if part not in message] == []


def _rpi5() -> str:
    return Path(str(importlib.resources.files("profiles").joinpath("rpi5.toml"))).read_text("utf-8")
