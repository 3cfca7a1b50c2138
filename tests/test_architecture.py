"""Promises about the house itself: who imports whom, what ships, what is exported, and how long a file gets."""

from __future__ import annotations

import ast
import configparser
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import runtimes

ROOT = Path(__file__).parents[1]
PACKAGES = ("profiles", "runtimes", "hwbench", "toolchain")  # each may import those before it
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LONGEST = 350

# What a package may import beside the standard library and ours. numpy alone is on every device.
ALLOWED = {
    "profiles": set(),
    "runtimes": {"numpy"},
    "hwbench": {
        *("numpy", "scipy", "sklearn", "psutil", "rich", "jinja2", "markupsafe", "matplotlib", "tomli"),
        *("sqlalchemy", "ruptures", "pynvml"),
    },
    "toolchain": {
        *("numpy", "scipy", "sklearn", "rich", "click", "tomli", "ml_dtypes", "psutil"),
        *("torch", "onnx", "onnx_ir", "onnxruntime", "onnxconverter_common"),
    },
}

# A backend's package has the backend's name, but for these.
EXTRA_PACKAGES = {
    "signing": {"cryptography"},
    "http_server": {"starlette", "uvicorn"},
    "prometheus": {"prometheus_client"},
}
BACKEND_PACKAGES = {"null": set()}
MEMORY_PACKAGES = {"cuda_bindings": {"cuda"}, "pycuda": {"pycuda"}}
METER_PACKAGES = {"nvml": {"pynvml"}}


def every_module(function):
    return pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))(function)


def imported(path: Path) -> Iterator[str]:
    """The top-level packages that a module imports anywhere in it, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that this test can read them"
            yield (node.module or "").partition(".")[0]


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


@every_module
def test_imports_go_one_way(path):
    own = PACKAGES.index(package_of(path))
    for name in set(imported(path)) & {*PACKAGES, "tests", "benchmarks"}:
        assert name in PACKAGES[: own + 1], f"{path.relative_to(ROOT)} imports {name}"


@every_module
def test_imports_only_what_its_package_may(path):
    others = set(imported(path)) - set(sys.stdlib_module_names) - {"tomllib"} - set(PACKAGES)
    allowed = ALLOWED[package_of(path)]
    if path == ROOT / "hwbench" / "pytest_plugin.py":  # nothing but pytest loads it
        allowed = allowed | {"pytest"}
    if path.parent == ROOT / "hwbench" / "load" / "loadgen":  # what runs in the measuring process
        allowed = allowed | {"mlperf_loadgen"}
    if path.parent == ROOT / "runtimes" / "backends":
        allowed = allowed | BACKEND_PACKAGES.get(path.stem, {path.stem})
    if path.parent in (ROOT / "runtimes" / "serving", ROOT / "runtimes" / "bundles"):
        allowed = allowed | EXTRA_PACKAGES.get(path.stem, set())
    if path.parent == ROOT / "runtimes" / "tensorrt" / "cuda":
        allowed = allowed | MEMORY_PACKAGES.get(path.stem, set())
    if path.parent == ROOT / "runtimes" / "meters":
        allowed = allowed | METER_PACKAGES.get(path.stem, set())
    assert others <= allowed


@every_module
def test_says_what_it_is_for_and_stays_short(path):
    text = path.read_text("utf-8")
    assert ast.get_docstring(ast.parse(text)), "a module begins with what it is for"
    assert len(text.splitlines()) <= LONGEST


def test_the_exported_names_are_those_that_can_be_imported_and_have_a_docstring():
    assert runtimes.__all__ == sorted(runtimes.__all__)
    assert len(set(runtimes.__all__)) == len(runtimes.__all__)
    typed = next(
        node for node in ast.parse((ROOT / "runtimes/__init__.py").read_text()).body if isinstance(node, ast.If)
    )
    names = {alias.name for node in typed.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert names == set(runtimes.__all__)  # what type checkers see is what __getattr__ finds
    for name in runtimes.__all__:
        assert (getattr(runtimes, name).__doc__ or "").strip(), name


@pytest.fixture(scope="module")
def members(wheel) -> dict[str, int]:
    """The wheel's files and their compressed sizes."""
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: info.compress_size for info in archive.infolist()}


def test_the_wheel_holds_every_module_and_data_file(members):
    expected = {str(path.relative_to(ROOT)) for path in MODULES}
    expected |= {f"profiles/{path.name}" for path in (ROOT / "profiles").glob("*.toml")}
    expected |= {f"hwbench/templates/{path.name}" for path in (ROOT / "hwbench" / "templates").iterdir()}
    expected |= {f"{package}/py.typed" for package in PACKAGES}
    assert len([name for name in expected if name.endswith(".toml")]) == 21
    assert {name for name in members if ".dist-info/" not in name} == expected


def test_the_wheel_holds_neither_tests_nor_benchmarks(members):
    assert {name.partition("/")[0] for name in members if ".dist-info/" not in name} == set(PACKAGES)


def test_the_wheel_brings_the_command_and_the_licence(wheel, members):
    (info,) = {name.partition("/")[0] for name in members if ".dist-info/" in name}
    assert any(name.startswith(info) and name.endswith("LICENSE") for name in members)
    scripts = configparser.ConfigParser()
    with zipfile.ZipFile(wheel) as archive:
        scripts.read_string(archive.read(f"{info}/entry_points.txt").decode())
        metadata = archive.read(f"{info}/METADATA").decode()
    assert dict(scripts["console_scripts"]) == {"edgewright": "toolchain.cli:main"}
    base = [line for line in metadata.splitlines() if line.startswith("Requires-Dist: ") and "extra ==" not in line]
    assert [line.split()[1].partition(">")[0] for line in base] == ["numpy"]


def test_the_wheel_stays_small(wheel, members):
    assert wheel.stat().st_size < 500_000
    assert sum(size for name, size in members.items() if name.startswith("runtimes/")) < 150_000
