"""Promises about the house itself: who imports whom, what ships, what is exported, and how long a file gets."""

from __future__ import annotations

import ast
import configparser
import functools
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
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
        *("sqlalchemy", "ruptures", "pynvml", "platformdirs"),
    },
    "toolchain": {
        *("numpy", "scipy", "sklearn", "rich", "click", "tomli", "ml_dtypes", "psutil"),
        *("torch", "onnx", "onnx_ir", "onnxruntime", "onnxconverter_common"),
    },
}

# A backend's package has the backend's name, but for these.
EXTRA_PACKAGES = {
    "bill_of_materials": {"cyclonedx", "packageurl"},
    "openssf_signature": {"cryptography", "model_signing"},
    "request_body": {"starlette"},
    "signing": {"cryptography"},
    "application": {"starlette"},
    "connections": {"uvicorn"},
    "http_server": {"uvicorn"},
    "inference_endpoint": {"starlette"},
    "prometheus": {"prometheus_client"},
}
BACKEND_PACKAGES = {"null": set(), "_openvino_forms": {"openvino"}}
MEMORY_PACKAGES = {"cuda_bindings": {"cuda"}, "pycuda": {"pycuda"}}
METER_PACKAGES = {"nvml": {"pynvml"}}


@functools.cache
def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports anywhere in it, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute, so that this test can read them"
            names.add((node.module or "").partition(".")[0])
    return names


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def may_import(path: Path) -> set[str]:
    """Packages that a module may import beside the standard library and ours."""
    extra = {
        ROOT / "hwbench" / "gate": {"pytest"} if path.stem == "pytest_plugin" else set(),  # nothing but pytest loads it
        ROOT / "hwbench" / "load" / "loadgen": {"mlperf_loadgen"},  # what runs in the measuring process
        ROOT / "runtimes" / "backends": BACKEND_PACKAGES.get(path.stem, {path.stem}),
        ROOT / "runtimes" / "bundles": EXTRA_PACKAGES.get(path.stem, set()),
        ROOT / "runtimes" / "serving": EXTRA_PACKAGES.get(path.stem, set()),
        ROOT / "runtimes" / "tensorrt" / "cuda": MEMORY_PACKAGES.get(path.stem, set()),
        ROOT / "toolchain" / "exporters" / "keras_models": {"keras"},  # loaded where a model of Keras is
        ROOT / "toolchain" / "packaging": EXTRA_PACKAGES.get(path.stem, set()),
        ROOT / "hwbench" / "rack": {"dask", "distributed"},
        ROOT / "toolchain" / "sweep": {"distributed"} if path.stem == "rack" else set(),
        ROOT / "runtimes" / "meters": METER_PACKAGES.get(path.stem, set()),
    }
    return ALLOWED[package_of(path)] | extra.get(path.parent, set())


def test_imports_go_one_way():
    wrong = {}
    for path in MODULES:
        later = {*PACKAGES[PACKAGES.index(package_of(path)) + 1 :], "tests", "benchmarks"}
        wrong[str(path.relative_to(ROOT))] = later & imported(path)
    assert {module: names for module, names in wrong.items() if names} == {}


def test_a_module_imports_only_what_its_package_may():
    wrong = {}
    for path in MODULES:
        others = imported(path) - set(sys.stdlib_module_names) - {"tomllib"} - set(PACKAGES)
        wrong[str(path.relative_to(ROOT))] = others - may_import(path)
    assert {module: names for module, names in wrong.items() if names} == {}


def test_every_module_begins_with_what_it_is_for_and_stays_short():
    texts = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in MODULES}
    assert [module for module, text in texts.items() if not ast.get_docstring(ast.parse(text))] == []
    lengths = {module: len(text.splitlines()) for module, text in texts.items()}
    assert {module: length for module, length in lengths.items() if length > LONGEST} == {}


# Folders whose modules are plug-ins of one interface. A plug-in carries the name that users type, so a backend, a
# builder and a profiler of one runtime share theirs.
PLUGINS = {
    *("runtimes/backends", "runtimes/meters", "runtimes/profilers", "runtimes/tensorrt/cuda"),
    *("hwbench/formats", "hwbench/metrics", "hwbench/targets"),
    *("toolchain/builders", "toolchain/calibration/methods", "toolchain/cli", "toolchain/corrections"),
    *("toolchain/exporters", "toolchain/quantizers"),
}
MOST_MODULES = 12


def folder_of(path: Path) -> str:
    return str(path.parent.relative_to(ROOT))


def test_no_folder_holds_more_than_a_reader_takes_in():
    counts = Counter(folder_of(path) for path in MODULES if not path.stem.startswith("__"))
    assert {folder: n for folder, n in counts.items() if n > MOST_MODULES and folder not in PLUGINS} == {}


def test_no_two_modules_share_a_name_unless_they_are_plug_ins():
    places: dict[str, list[str]] = {}
    for path in MODULES:
        if not path.stem.startswith("__") and folder_of(path) not in PLUGINS:
            places.setdefault(path.stem, []).append(folder_of(path))
    assert {name: folders for name, folders in places.items() if len(folders) > 1} == {}


def test_folders_import_each_other_in_one_direction():
    """Modules at the root of a package may be imported by its folders, and import them (`__main__`). An interface of
    plug-ins (`runtimes.backends`) loads them on demand, so that importing it is no arrow to them.
    """
    arrows: dict[str, set[str]] = {}
    for path in MODULES:
        for module in imported_at_load(path):
            there = ROOT.joinpath(*module.split("."))
            there = there if there.is_dir() else there.parent
            here, other = folder_of(path), str(there.relative_to(ROOT))
            is_apart = "/" in here and "/" in other and not f"{here}/".startswith(f"{other}/")
            is_apart = is_apart and not f"{other}/".startswith(f"{here}/")  # a folder and those in it are one room
            if is_apart and module.replace(".", "/") not in PLUGINS:
                arrows.setdefault(here, set()).add(other)
    TopologicalSorter(arrows).prepare()  # raises CycleError, which names the folders


def imported_at_load(path: Path) -> Iterator[str]:
    """Our modules that a module imports when it is loaded itself: not inside functions, nor for type checkers alone."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PACKAGES:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_module = ROOT.joinpath(*inner.split(".")).with_suffix(".py").exists()
                yield inner if is_module else str(node.module)


def test_the_exported_names_are_those_that_can_be_imported_and_have_a_docstring():
    assert runtimes.__all__ == sorted(runtimes.__all__)
    assert len(set(runtimes.__all__)) == len(runtimes.__all__)
    blocks = (node for node in ast.parse((ROOT / "runtimes/__init__.py").read_text()).body if isinstance(node, ast.If))
    typed = next(block for block in blocks if ast.unparse(block.test) == "TYPE_CHECKING")
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
    expected.add("hwbench/forecasts/measured.json")
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
    # Host and device in one wheel: 560 modules of 1.6 kB each, and 90 kB of the zip's own tables. It grows by code; the
    # second limit is for what does not belong there, such as data, pictures or scripts of others.
    assert wheel.stat().st_size < 990_000
    assert max(size for name, size in members.items() if not name.endswith("/RECORD")) < 10_000
    # A device imports these alone.
    assert sum(size for name, size in members.items() if name.startswith("runtimes/")) < 160_000
