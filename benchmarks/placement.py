"""Distance of int8 to float32 where layers of a pattern stay in float, beside the same number chosen by their error.

    python -m benchmarks.placement [MODEL...] | tee benchmarks/results/placement.txt

The patterns are those that others leave out of int8 first. `kept` counts the layers that int8 would compute; `MACs` is
their share of the multiplications, each of which takes about three times as long in float32. SQNR is the mean over 48
evaluation samples, in dB, in exact arithmetic with eight bits and the corrections of a build: of the first output, and
of all of them. `ranked` keeps as many layers, and at most as many multiplications, in the order in which the search for
mixed precision would: those with the largest error of their own first.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice

import numpy as np
import onnx_ir as ir

from hwbench.data import dataset
from hwbench.data.dataset import Dataset
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.analysis.int8_errors import sensitivity
from toolchain.candidates.defaults import DEFAULT_CORRECTIONS
from toolchain.corrections.tail import _last, _positions
from toolchain.graphs.edits import array_of, is_constant
from toolchain.graphs.products import PRODUCTS
from toolchain.models import ort_session
from toolchain.models.onnx_model import open_model
from toolchain.models.prepare import prepare
from toolchain.quantizers import int8
from toolchain.recipes.apply_recipe import calibrate_graph, keep_in_float
from toolchain.recipes.qdq_placement import place
from toolchain.recipes.recipe import BEST, Recipe

MODELS = ("centerface", "efficientnet", "ppocr", "esrgan", "minilm")
_RUNS = 48
_GATES = frozenset({"Sigmoid", "HardSigmoid"})


def main(names: list[str]) -> None:
    """Keep the layers of each pattern in float on each model and print the table."""
    print(f"{'model':14}{'in float':34}{'kept':>6}{'MACs':>7}{'SQNR':>7}{'all':>7}")
    for name in names or MODELS:
        _compare(name)


def _compare(name: str) -> None:
    zoo = importlib.import_module(f"benchmarks.zoo.{name}").prepare()
    source = open_model(zoo.onnx)
    calibration, evaluation = (dataset.read(file, source.inputs) for file in (zoo.calibration, zoo.evaluation))
    recipe = Recipe("int8", BEST, QuantizationScheme("uint8"), corrections=DEFAULT_CORRECTIONS)
    ready = calibrate_graph(prepare(source), recipe, calibration)
    expected = _run(ready.reference, evaluation, exact=False)
    nodes = place(ready.model, (), ready.ranges).nodes
    placed = [node for node in ready.model.graph if node in nodes]
    layers = _products(placed)
    positions = _positions(ready.model, layers, calibration)
    macs = {node: n * array_of(node.inputs[1]).size for node, n in positions.items()}
    order = {node: place for place, node in enumerate(sensitivity(ready, recipe, calibration))}
    ranking = sorted((node for node in placed if node.name in order), key=lambda node: order[str(node.name)])

    def work(kept: Iterable[ir.Node]) -> int:
        return sum(macs.get(node, 0) for node in kept)

    def report(what: str, kept: Sequence[ir.Node]) -> None:
        wanted = dataclasses.replace(recipe, keep=tuple(str(node.name) for node in kept))
        graph = keep_in_float(ready, wanted.keep).model.clone()
        first, every = _decibels(expected, _run(int8.quantize(graph, wanted, ready.ranges), evaluation, exact=True))
        print(f"{name:14}{what:34}{len(kept):6}{work(kept) / work(macs):7.1%}{first:7.1f}{every:7.1f}", flush=True)

    report("nothing", ())
    for title, pattern in PATTERNS.items():
        found = [node for node in placed if node in pattern(ready.model, placed)]
        ranked: list[ir.Node] = []
        for node in ranking:
            if len(ranked) < len(found) and work([*ranked, node]) <= work(found):
                ranked.append(node)
        if found:
            report(title, found)
            report("  ranked", ranked)


def _first(model: ir.Model, placed: Iterable[ir.Node]) -> Collection[ir.Node]:
    """Products that read the model's inputs, or what is made of them without products."""
    return [node for node in placed if node.op_type in PRODUCTS and not _before(node) & set(_products(placed))]


def _outputs(model: ir.Model, placed: Iterable[ir.Node]) -> Collection[ir.Node]:
    """The last products before the model's outputs."""
    return _last(model.graph.outputs, _products(placed))


def _decode(model: ir.Model, placed: Iterable[ir.Node]) -> Collection[ir.Node]:
    """What follows the last products: Sigmoid, Mul, Add, Concat of scores and boxes."""
    products = set(_products(placed))
    return [node for node in placed if node not in products and not _after(node) & products]


def _excitation(model: ir.Model, placed: Iterable[ir.Node]) -> Collection[ir.Node]:
    """Squeeze-and-excitation: what is between a global mean and the gate's Mul, with the Mul."""
    found: set[ir.Node] = set()
    for pool in model.graph:
        if pool.op_type in ("GlobalAveragePool", "ReduceMean"):
            path, node = [pool], pool
            while len(node.outputs[0].uses()) == 1 and node.op_type != "Mul":
                node = next(iter(node.outputs[0].uses())).node
                path.append(node)
            if node.op_type == "Mul" and any(inner.op_type in _GATES for inner in path):
                found.update(path)
    return found


def _residual(model: ir.Model, placed: Iterable[ir.Node]) -> Collection[ir.Node]:
    """Additions of two activations."""
    return [node for node in placed if node.op_type == "Add" and not any(map(is_constant, node.inputs))]


def _depthwise(model: ir.Model, placed: Iterable[ir.Node]) -> Collection[ir.Node]:
    return [node for node in placed if node.op_type == "Conv" and node.attributes.get_int("group", 1) > 1]


PATTERNS: dict[str, Callable[[ir.Model, Iterable[ir.Node]], Collection[ir.Node]]] = {
    "first products": _first,
    "last products": _outputs,
    "what follows the last products": _decode,
    "squeeze and excitation": _excitation,
    "residual Adds": _residual,
    "depthwise Convs": _depthwise,
}


def _products(placed: Iterable[ir.Node]) -> list[ir.Node]:
    return [node for node in placed if node.op_type in PRODUCTS]


def _before(node: ir.Node) -> set[ir.Node]:
    return _reached([node], lambda at: [value.producer() for value in at.inputs if value is not None])


def _after(node: ir.Node) -> set[ir.Node]:
    return _reached([node], lambda at: [use.node for value in at.outputs for use in value.uses()])


def _reached(start: list[ir.Node], step: Callable[[ir.Node], Iterable[ir.Node | None]]) -> set[ir.Node]:
    found: set[ir.Node] = set()
    left = list(start)
    while left:
        new = {node for node in step(left.pop()) if node is not None} - found
        found |= new
        left += new
    return found


def _run(model: ir.Model, data: Dataset, *, exact: bool) -> list[list[Array]]:
    session = ort_session.exact_session(model) if exact else ort_session.session(model)
    return [outputs for _, outputs in islice(ort_session.over_samples(session, data), _RUNS)]


def _decibels(expected: list[list[Array]], seen: list[list[Array]]) -> tuple[float, float]:
    """Return the mean SQNR of the first output, and of all outputs."""
    every = [[_sqnr(a, b) for a, b in zip(*pair)] for pair in zip(expected, seen)]
    means = np.mean(every, axis=0)
    return float(means[0]), float(means.mean())


def _sqnr(expected: Array, seen: Array) -> float:
    y = expected.astype(np.float64)
    return float(10 * np.log10(max((y**2).sum(), 1e-30) / max(((seen - y) ** 2).sum(), 1e-30)))


if __name__ == "__main__":
    np.seterr(all="ignore")
    main(sys.argv[1:])
