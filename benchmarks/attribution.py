"""Attribution of failed gates: how often the layer that was slowed on purpose is named first, and falsely named ones.

    python -m benchmarks.attribution | tee benchmarks/results/attribution.txt

The baseline is a stack of 12 convolutions 3 x 3. Each run slows another layer, in one of three ways: a convolution of
5 x 5 in its place, a MatMul put in behind it, or a pair of Transposes. Both bundles are profiled as a failed gate
profiles them. Others may be named besides: a MatMul between convolutions has their layout converted before and behind
it. A last row profiles the stack against itself, where no layer should be named.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hwbench.budgets.budget import parse
from hwbench.formats.sections.provenance import describe
from hwbench.gate.gate import GatePlan
from hwbench.gate.layer_attribution import changes
from hwbench.layers.layer_changes import LayerChanges
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from hwbench.targets.local import LocalTarget
from toolchain.pipeline.pack_model import pack_as_is

LAYERS, CHANNELS, SIDE = 12, 32, 14
KINDS = ("larger Conv", "extra MatMul", "pair of Transposes", "nothing")


def main() -> None:
    """Run all attributions and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="runs of each kind")
    parser.add_argument("--kinds", default=",".join(KINDS), help="which kinds")
    options = parser.parse_args()
    here = describe(this_machine())
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # children inherit it
    print(f"{here}\n{LAYERS} convolutions 3 x 3, {CHANNELS} channels, {SIDE} x {SIDE}\n")
    heads = f"{'runs':>6}{'named first':>13}{'none named':>12}{'others named':>14}{'change':>9}{'s a run':>9}"
    print(f"{'slowed by':20}{heads}")
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        baseline = _pack(None, "", Path(work, "baseline"))
        for kind in options.kinds.split(","):
            first = none = others = 0
            shares, begun = [], time.monotonic()
            for run in range(options.runs):
                layer = run % LAYERS
                candidate = baseline if kind == "nothing" else _pack(layer, kind, Path(work, f"{kind}{layer}"))
                plan = GatePlan(max_time_s=600, seed=run)
                targets = (LocalTarget(), LocalTarget())
                found = changes((candidate, baseline), targets, parse("p50<=+5%"), plan, lambda word: None)
                named = [each.layer for each in found.moved if each.change_us.value > 0]
                first += bool(named) and _is_slowed(named[0], layer)
                none += not named
                others += any(not _is_slowed(name, layer) for name in named)
                shares.append(_share(found))
            each_s = (time.monotonic() - begun) / options.runs
            cells = f"{options.runs:>6}{first:>13}{none:>12}{others:>14}{np.median(shares):>9.1%}{each_s:>9.1f}"
            print(f"{kind:20}{cells}", flush=True)
    print(f"\n{time.monotonic() - start:.0f} s")


def _share(found: LayerChanges) -> float:
    return found.total_us.value / found.before_us if found.total_us is not None else 0.0


def _is_slowed(name: str, layer: int) -> bool:
    """Tell a slowed layer by the runtime's name: fused kernels have that of the Relu's output, or of its own node."""
    return f"slowed{layer}_" in name or name.startswith(f"slowed{layer}")


def _pack(layer: int | None, kind: str, folder: Path) -> Path:
    bundle = folder / "stack.onnx"
    if not folder.exists():
        folder.mkdir(parents=True)
        onnx.save(_model(layer, kind), bundle)
    packed, _ = pack_as_is(str(bundle), (), device_profiles.detect(this_machine()), 1, folder)
    return packed


def _model(layer: int | None, kind: str) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    shape = [1, CHANNELS, SIDE, SIDE]
    nodes, weights, last = [], [], "input"

    def add(op: str, name: str, *arrays: np.ndarray, **attributes: object) -> None:
        nonlocal last
        for number, array in enumerate(arrays):
            weights.append(numpy_helper.from_array(array.astype(np.float32), f"{name}_w{number}"))
        given = [last, *(f"{name}_w{number}" for number in range(len(arrays)))]
        nodes.append(helper.make_node(op, given, [f"{name}_out"], name=name, **attributes))
        last = f"{name}_out"

    for number in range(LAYERS):
        slowed = number == layer
        size = 5 if slowed and kind == "larger Conv" else 3
        prefix = f"slowed{number}_" if size == 5 else f"layer{number}_"
        weight = rng.normal(0, np.sqrt(2 / (size * size * CHANNELS)), (CHANNELS, CHANNELS, size, size))
        add("Conv", f"{prefix}conv", weight, pads=[size // 2] * 4)
        add("Relu", f"{prefix}relu")
        if slowed and kind == "extra MatMul":
            add("MatMul", f"slowed{number}_matmul", np.eye(SIDE))
        if slowed and kind == "pair of Transposes":
            add("Transpose", f"slowed{number}_there", perm=[0, 2, 3, 1])
            add("Relu", f"slowed{number}_relu")  # or ONNX Runtime would take both away
            add("Transpose", f"slowed{number}_back", perm=[0, 3, 1, 2])
    graph = helper.make_graph(
        nodes,
        "stack",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, shape)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


if __name__ == "__main__":
    main()
