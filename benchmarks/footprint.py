"""Footprint of `runtimes` on a device: added to an import, to loading a model, and on the disk.

    python -m benchmarks.footprint | tee benchmarks/results/footprint.txt

Every measurement is a process of its own, the ways taking turns; times are medians of processor time (what other
programs do to the clock on the wall is not ours), memory is resident. Both sides run the same model with the same
options, from a warm disk cache.
"""

from __future__ import annotations

import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.mobilenet import mobilenet_v2
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from runtimes.bundles.manifest import RuntimeSettings
from toolchain.builders import onnxruntime as builder
from toolchain.models.onnx_model import open_model
from toolchain.packaging.pack import Contents, pack
from toolchain.recipes.recipe import Recipe

_ROOT = Path(__file__).parents[1]
_REPEATS = 15
_MEASURED = """
import json, sys, time
import numpy, resource
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
before, start, wall = resident(), time.process_time_ns(), time.perf_counter_ns()
{code}
cpu, wall = time.process_time_ns() - start, time.perf_counter_ns() - wall
print(json.dumps([cpu, wall, resident() - before]))
"""
_RAW = """
{imports}
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession({model!r}, options, providers=["CPUExecutionProvider"])
session.run(None, {{"image": numpy.zeros((1, 3, 224, 224), numpy.float32)}})
"""
_OURS = """
{imports}
session = runtimes.load({bundle!r})
session.run({{"image": numpy.zeros((1, 3, 224, 224), numpy.float32)}})
"""
# The modules that both loads need, imported before the clock starts.
_BEFORE = "import onnxruntime, runtimes.inference.load, runtimes.backends.onnxruntime"


def main() -> None:
    """Measure and print everything."""
    print(f"{this_machine().cpu}, Python {platform.python_version()}, ", end="")
    print(", ".join(f"{name} {version(name)}" for name in ("numpy", "onnxruntime")) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        model = mobilenet_v2(Path(folder, "mobilenet.onnx"))
        artifact = builder.build(open_model(model), Recipe("fp32"), RuntimeSettings(1), Path(folder))
        bundle = Path(folder, "mobilenet.edge")
        seen = {"image": np.random.default_rng(0).standard_normal((4, 3, 224, 224)).astype(np.float32)}
        pack(
            Contents("m", device_profiles.detect(this_machine()), artifact, Recipe("fp32"), {}, {}, calibration=seen),
            bundle,
        )
        print("after `import numpy`, median of processes:      cpu ms   wall ms     MiB")
        _print(
            {
                "import runtimes": "import runtimes",
                "import runtimes.inference.load (what load takes)": "import runtimes.inference.load",
                "import onnxruntime": "import onnxruntime",
                "cold: onnxruntime, MobileNetV2 to a result": _RAW.format(
                    imports="import onnxruntime", model=str(model)
                ),
                "cold: runtimes, the same": _OURS.format(imports="import runtimes", bundle=str(bundle)),
            }
        )
        print("\nafter both were imported, too:")
        _print(
            {
                "warm: onnxruntime, MobileNetV2 to a result": _RAW.format(imports="", model=str(model)),
                "warm: runtimes, the same": _OURS.format(imports="", bundle=str(bundle)),
            },
            _BEFORE,
        )
        _print_wheel(Path(folder))


def _print(ways: Mapping[str, str], before: str = "") -> None:
    found: dict[str, list[list[int]]] = {name: [] for name in ways}
    for _ in range(_REPEATS):
        for name, code in ways.items():
            program = _MEASURED.replace("before, start", f"{before}\nbefore, start", 1).replace("{code}", code)
            done = subprocess.run([sys.executable, "-c", program], cwd=_ROOT, capture_output=True, check=True)
            found[name].append(json.loads(done.stdout))
    for name, rows in found.items():
        cpu, wall, memory = (statistics.median(row[i] for row in rows) for i in range(3))
        print(f"  {name:44}{cpu / 1e6:8.2f}{wall / 1e6:10.2f}{memory / 2**20:8.2f}", flush=True)


def _print_wheel(folder: Path) -> None:
    source = folder / "source"  # a copy, so that no build folder is left in the tree
    for package in ("profiles", "runtimes", "hwbench", "toolchain"):
        shutil.copytree(_ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(_ROOT / name, source)
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, source], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        ours = sum(info.compress_size for info in archive.infolist() if info.filename.startswith("runtimes/"))
    print(f"\nwheel: {wheel.stat().st_size / 1e3:.0f} KB, of which runtimes {ours / 1e3:.0f} KB")


if __name__ == "__main__":
    main()
