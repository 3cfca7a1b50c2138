"""Hold our use of TensorRT's API to the genuine Python bindings of several releases.

    python -m benchmarks.tensorrt_bindings | tee benchmarks/results/tensorrt_bindings.txt
    python -m benchmarks.tensorrt_bindings --write     # and renew tests/runtimes/tensorrt/api_surface.json

The bindings' wheels come without TensorRT's libraries, which are not on the package index. They are imported over
stand-ins whose every function returns NULL, so that all names are there and nothing can be computed. Needs pip, a C
compiler, and CPython 3.10 to 3.12 on x86-64. No wheel is kept.
"""

from __future__ import annotations

import ast
import json
import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
SURFACE = ROOT / "tests" / "runtimes" / "tensorrt" / "api_surface.json"
RELEASES = {
    "10.3.0": "tensorrt-cu12-bindings",  # JetPack 6.1 and 6.2
    "10.7.0": "tensorrt-cu12-bindings",  # the last of 10.x with DLA
    "10.13.3.9": "tensorrt-cu12-bindings",  # JetPack 7.0 and 7.1
    "10.16.1.11": "tensorrt-cu12-bindings",  # JetPack 7.2
    "11.4.0.106": "tensorrt-cu13-bindings",
}
RTX = "rtx"

# The class behind each name that our code gives one of TensorRT's objects.
_OBJECTS = {
    "builder": "Builder",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "config": "IBuilderConfig",
    "profile": "IOptimizationProfile",
    "engine": "ICudaEngine",
    "context": "IExecutionContext",
    "_context": "IExecutionContext",
    "_runtime": "Runtime",
    "inspector": "EngineInspector",
    "error": "ParserError",
}

_STAND_INS = """
#include <stddef.h>
#define NOTHING(name) void* name(void) { return NULL; }
NOTHING(createInferBuilder_INTERNAL) NOTHING(createInferRefitter_INTERNAL) NOTHING(createInferRuntime_INTERNAL)
NOTHING(createNvOnnxParser_INTERNAL) NOTHING(createNvOnnxParserRefitter_INTERNAL)
NOTHING(getBuilderPluginRegistry) NOTHING(getPluginRegistry)
int getNvOnnxParserVersion(void) { return 0; }
int initLibNvInferPlugins(void) { return 0; }
"""

_LIST = """
import json, sys
import {module} as trt
sys.path.insert(0, {root!r})
import threading
from runtimes.tensorrt.logger import logger
from runtimes.tensorrt.build_progress import monitor
logger(trt), monitor(trt, None, threading.Event())  # our classes on theirs
classes = [name for name in dir(trt) if isinstance(getattr(trt, name), type)]
print(json.dumps({{
    "version": trt.__version__,
    "names": {{name: [item for item in dir(getattr(trt, name)) if not item.startswith("_")] for name in classes}},
}}))
"""


def uses() -> dict[str, set[str]]:
    """Every attribute of TensorRT's that our code uses, by class; enumerations are among the classes."""
    found: dict[str, set[str]] = defaultdict(set)
    for folder in ("tensorrt", "backends"):
        for file in sorted((ROOT / "runtimes" / folder).glob("*.py")):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Attribute):
                    _note(node, found)
    return {cls: {name for name in names if not name.startswith("_")} for cls, names in found.items() if cls[0] != "_"}


def missing(surface: Mapping[str, list[str]], wanted: Mapping[str, set[str]]) -> list[str]:
    """List what a release lacks of what is used."""
    lacking = [f"{cls}.{name}" for cls, names in wanted.items() for name in names if name not in surface.get(cls, ())]
    return sorted(lacking)


def _note(node: ast.Attribute, found: dict[str, set[str]]) -> None:
    owner = node.value
    if isinstance(owner, ast.Name) and owner.id == "trt":
        found[node.attr]  # a class of its own
    elif isinstance(owner, ast.Attribute) and isinstance(owner.value, ast.Name) and owner.value.id == "trt":
        found[owner.attr].add(node.attr)
    else:
        name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
        if name in _OBJECTS:
            found[_OBJECTS[name]].add(node.attr)


def main(write: bool) -> int:
    """Check every release and print what came of it; exit code 1 where something is missing."""
    wanted = uses()
    count = sum(map(len, wanted.values()))
    print(f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}")
    print(f"{count} attributes of {len(wanted)} classes of TensorRT's are used\n")
    print(f"{'release':14}{'package':28}{'classes':>8}{'used':>6}  missing")
    surfaces, failures = {}, 0
    for release, package in {**RELEASES, RTX: "tensorrt-rtx"}.items():
        listed = _rtx() if release == RTX else _genuine(release, package)
        lacking = missing(listed["names"], wanted)
        beyond = [name for name in lacking if name not in ONLY_RTX]
        failures += bool(beyond if release != RTX else lacking)
        note = ", ".join(lacking) + (" (used for tensorrt-rtx alone)" if lacking and not beyond else "")
        print(
            f"{listed['version']:14}{package:28}{len(listed['names']):8}{count - len(lacking):6}  {note or 'nothing'}"
        )
        kept = {*wanted, "BuilderFlag", "NetworkDefinitionCreationFlag"}
        surfaces[release] = {cls: sorted(listed["names"][cls]) for cls in sorted(kept) if cls in listed["names"]}
    if write:
        SURFACE.write_text(json.dumps(surfaces, indent=None, separators=(",", ":")) + "\n")
    return 1 if failures else 0


ONLY_RTX = frozenset(
    {"IBuilderConfig.num_compute_capabilities", "IBuilderConfig.set_compute_capability", "ComputeCapability"}
)
"""Names that only tensorrt-rtx has, and only its dialect uses."""


def _genuine(release: str, package: str) -> dict[str, dict[str, list[str]]]:
    major = release.partition(".")[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*pip, "--dest", name, f"{package}=={release}"], check=True, stderr=subprocess.DEVNULL)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            wheel.extractall(folder / "site")
        (folder / "none.c").write_text(_STAND_INS)
        for library in ("nvinfer", "nvinfer_plugin", "nvonnxparser"):
            soname = f"lib{library}.so.{major}"
            command = ["cc", "-shared", "-fPIC", "-w", f"-Wl,-soname,{soname}", "-o", str(folder / soname)]
            subprocess.run([*command, str(folder / "none.c")], check=True)
        return _list("tensorrt_bindings", {"LD_LIBRARY_PATH": name, "PYTHONPATH": str(folder / "site")})


def _rtx() -> dict[str, dict[str, list[str]]]:
    return _list("tensorrt_rtx", {})


def _list(module: str, environment: Mapping[str, str]) -> dict[str, dict[str, list[str]]]:
    program = _LIST.format(module=module, root=str(ROOT))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{module} cannot be imported: {done.stderr.strip()[-500:]}")
    listed: dict[str, dict[str, list[str]]] = json.loads(done.stdout.splitlines()[-1])
    return listed


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv[1:]))
