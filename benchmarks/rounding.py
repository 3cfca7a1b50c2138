"""Rounding of weights to match the float model's outputs (GPTAQ, AdaRound) beside the correction `rounding` (GPTQ).

    python -m benchmarks.rounding | tee benchmarks/results/rounding.txt
    python -m benchmarks.rounding efficientnet --scheme "8 bits" --rounding "AdaRound; bias" --depth 672

`rounding` and `bias` are the product's: each layer is fitted to the float model's activations, rounded. AdaRound
(M. Nagel et al. (2020), arXiv:2004.10568) takes its place with the same inputs: 500 steps of Adam learn which weights
to round up, by the sum of squares at the layer's output without the activation that follows; it ignores the bound on
pairs.

The other rows go layer after layer, each fed by the int8 layers before it, and set each bias by the mean error that is
left (M. Nagel et al. (2019), section 4.2). With X the float model's inputs of a layer and Z those of int8:

- sequential GPTQ (Frantar et al. (2022)) rounds W for Z, so that Q Z comes close to W Z;
- GPTAQ (Y. Li et al. (2025), arXiv:2504.02692) comes close to W X. As |Q Z - W X|^2 = |(Q - T) Z|^2 + a constant with
  T = W (1 + a (X - Z) Z^T (Z Z^T)^-1) for a = 1, it is GPTQ of T; the authors' code takes a = 0.25.

SQNR is the mean over the evaluation samples in exact arithmetic, in dB, with its standard error, and `s` the CPU time.
"""

from __future__ import annotations

import argparse
import importlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from unittest import mock

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import torch
from onnx_ir.passes.common import RemoveUnusedNodesPass

from hwbench.data import dataset
from hwbench.data.dataset import Dataset
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain import corrections
from toolchain.analysis import im2col
from toolchain.corrections import rounding
from toolchain.corrections._nearest_plane import round_rows
from toolchain.corrections._product_inputs import depth, matrices
from toolchain.corrections.bias import _bias
from toolchain.graphs.edits import Edits, array_of
from toolchain.graphs.value_range import Range
from toolchain.graphs.weights import set_scales
from toolchain.models import ort_session
from toolchain.models.onnx_model import open_model
from toolchain.models.prepare import prepare
from toolchain.quantizers import _kernel_pairs, int8
from toolchain.quantizers._kernel_pairs import Pairing
from toolchain.quantizers.int8 import parameters_of
from toolchain.recipes.find_ranges import calibrate
from toolchain.recipes.qdq_placement import Weight, place
from toolchain.recipes.recipe import Recipe

METHODS = {"efficientnet": "minmax", "ppocr": "mse"}  # those that a build selects with eight bits
SCHEMES = {"8 bits": QuantizationScheme("uint8"), "AVX2": QuantizationScheme("uint8", reduce_range=True)}
_MIN_RUNS, _MAX_RUNS, _MIN_ROWS, _ROWS_PER_COLUMN = 8, 64, 4096, 4
_STEPS, _DAMPING = 500, 0.01

_MAX_DEPTH = 4608  # products per output, as in the correction

Making = Callable[[ir.Model, Recipe, Mapping[str, Range], Dataset], ir.Model]
"""Returns a float graph, recipe, ranges and samples' corrected graph."""


@dataclass(frozen=True)
class Inputs:
    """What is known of a layer's inputs: Z Z^T, (X - Z) Z^T, [groups, k, k], and the means of X and Z, [groups, k]."""

    moments: Array
    shifts: Array
    x: Array
    z: Array


Rounder = Callable[[Array, Inputs, Array, Weight, QuantizationScheme], Array]
"""Returns integers [groups, channels, k] for weights, inputs and steps [groups, channels]."""


def main() -> None:
    """Round each model's weights by each method and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rounding")
    parser.add_argument("names", nargs="*", metavar="MODEL", default=list(METHODS))
    parser.add_argument("--scheme", choices=SCHEMES, action="append", help="all by default")
    parser.add_argument("--rounding", choices=ROUNDINGS, action="append", help="all by default")
    parser.add_argument(
        "--depth", type=int, default=_MAX_DEPTH, help="most products that an output of a layer sums over"
    )
    asked = parser.parse_args()
    print(f"{'model':14}{'scheme':8}{'rounding':34}{'SQNR':>7}{'+-':>6}{'s':>8}")
    for name in asked.names:
        zoo = importlib.import_module(f"benchmarks.zoo.{name}").prepare()
        model = open_model(zoo.onnx)
        calibration, evaluation = (dataset.read(file, model.inputs) for file in (zoo.calibration, zoo.evaluation))
        graph = prepare(model)
        expected = _run(ort_session.session(graph), evaluation)
        for title in asked.scheme or SCHEMES:
            scheme = SCHEMES[title]
            recipe = Recipe("int8", METHODS[name], scheme)
            ranges = calibrate(graph, recipe, calibration).ranges
            for how in asked.rounding or ROUNDINGS:
                start = time.process_time()
                with mock.patch.object(rounding, "_MAX_DEPTH", asked.depth):
                    made = int8.quantize(ROUNDINGS[how](graph, recipe, ranges, calibration), recipe, ranges)
                seconds = time.process_time() - start
                decibels = _decibels(expected, _run(ort_session.exact_session(made), evaluation))
                spread = float(np.std(decibels)) / math.sqrt(len(decibels))
                print(f"{name:14}{title:8}{how:34}{np.mean(decibels):7.1f}{spread:6.1f}{seconds:8.1f}", flush=True)


def _corrected(*names: str) -> Making:
    """Apply the product's corrections."""

    def make(graph: ir.Model, recipe: Recipe, ranges: Mapping[str, Range], data: Dataset) -> ir.Model:
        made = graph.clone()
        for name in names:
            made, _ = corrections.correction(name).correct(made, graph, recipe, ranges, data)
        return made.clone()

    return make


def _sequential(rounder: Rounder) -> Making:
    """Round layer after layer, each fed by the int8 layers before it; correct its bias by the error that is left."""

    def make(graph: ir.Model, recipe: Recipe, ranges: Mapping[str, Range], data: Dataset) -> ir.Model:
        made, scheme = graph.clone(), recipe.scheme or QuantizationScheme()
        for weight in place(made, recipe.keep, ranges).weights:
            if weight.node.graph is not made.graph or len(weight.value.uses()) > 1 or depth(weight) > _MAX_DEPTH:
                continue
            by_group, scales = matrices(weight).astype(np.float64), parameters_of(weight, scheme).scale
            steps = np.broadcast_to(scales, array_of(weight.value).shape[weight.axis]).reshape(by_group.shape[:2])
            inputs = _inputs(graph, made, weight, recipe, ranges, data)
            rounded = rounder(by_group, inputs, steps.astype(np.float64), weight, scheme) * steps[:, :, None]
            means = np.einsum("gck,gk->gc", by_group, inputs.x) - np.einsum("gck,gk->gc", rounded, inputs.z)
            _replace(made, weight, rounded, scales, means.reshape(-1))
        return made

    return make


def _inputs(
    graph: ir.Model, made: ir.Model, weight: Weight, recipe: Recipe, ranges: Mapping[str, Range], data: Dataset
) -> Inputs:
    name, shape = weight.node.name, array_of(weight.value).shape
    source = ort_session.session(_input_of(graph.clone(), name))
    quantized = ort_session.exact_session(_input_of(int8.quantize(made.clone(), recipe, ranges), name))
    wanted = max(_MIN_ROWS, _ROWS_PER_COLUMN * depth(weight))
    rows: list[list[Array]] = []
    for seed, found in enumerate(zip(*(ort_session.over_samples(session, data) for session in (source, quantized)))):
        rows.append([im2col.rows(weight.node, shape, out[0], -(-wanted // _MIN_RUNS), seed) for _, out in found])
        if seed + 1 >= _MAX_RUNS or (seed + 1 >= _MIN_RUNS and sum(len(x) for x, _ in rows) >= wanted):
            break
    x, z = (np.concatenate(each).transpose(1, 0, 2).astype(np.float64) for each in zip(*rows))
    return Inputs(z.transpose(0, 2, 1) @ z, (x - z).transpose(0, 2, 1) @ z, x.mean(axis=1), z.mean(axis=1))


def _input_of(model: ir.Model, name: str | None) -> ir.Model:
    node = next(node for node in model.graph if node.name == name)
    model.graph.outputs.clear()
    model.graph.outputs.extend(value for value in node.inputs[:1] if value is not None)
    return RemoveUnusedNodesPass()(model).model


def _gptaq(share: float) -> Rounder:
    def rounder(weights: Array, inputs: Inputs, steps: Array, weight: Weight, scheme: QuantizationScheme) -> Array:
        shape = array_of(weight.value).shape
        pairings = _kernel_pairs.pairings(weight.node, shape, weight.axis) if scheme.reduce_range else ()
        return round_rows(_target(weights, inputs, share), inputs.moments, steps, pairings)

    return rounder


def _target(weights: Array, inputs: Inputs, share: float) -> Array:
    """Find the float weights that come closest to W X for the inputs Z, or a share of the way there."""
    k = inputs.moments.shape[-1]
    damping = _DAMPING * np.trace(inputs.moments, axis1=1, axis2=2) / k + 1e-12
    damped = inputs.moments + damping[:, None, None] * np.eye(k)
    moved = np.linalg.solve(damped, (weights @ inputs.shifts).transpose(0, 2, 1)).transpose(0, 2, 1)
    return np.asarray(weights + share * moved)


def _adarounded(graph: ir.Model, recipe: Recipe, ranges: Mapping[str, Range], data: Dataset) -> ir.Model:
    with mock.patch.object(rounding, "round_rows", _adaround):
        return _corrected("rounding", "bias")(graph, recipe, ranges, data)


def _adaround(weights: Array, moments: Array, scales: Array, pairings: Sequence[Pairing]) -> Array:
    """Take `round_rows`'s arguments; the bound on pairs is ignored."""
    h = torch.tensor(moments / np.maximum(np.trace(moments, axis1=1, axis2=2)[:, None, None], 1e-12)).float()
    target = torch.tensor(weights / scales[:, :, None]).float()
    down = target.floor()
    v = torch.logit((target - down + 0.1) / 1.2).requires_grad_()
    optimizer = torch.optim.Adam([v], lr=1e-2)
    for step in range(_STEPS):
        up = (1.2 * torch.sigmoid(v) - 0.1).clamp(0, 1)
        loss = (((down + up - target) @ h) * (down + up - target)).sum()
        if step >= _STEPS // 5:  # a warm-up as in the paper, then beta from 20 to 2
            beta = 20 - 18 * (step / _STEPS - 0.2) / 0.8
            loss = loss + 0.01 * h.diagonal(dim1=1, dim2=2).mean() * (1 - (2 * up - 1).abs() ** beta).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return np.asarray((down + (v > 0)).clamp(-127, 127).detach().numpy(), np.int8)


def _replace(model: ir.Model, weight: Weight, rounded: Array, scales: Array, left: Array) -> None:
    edits, node, array = Edits(model.graph), weight.node, array_of(weight.value)
    layout = np.moveaxis(array, weight.axis, 0).shape
    restored = np.moveaxis(rounded.astype(np.float32).reshape(layout), 0, weight.axis)
    value = edits.constant(f"{weight.value.name}.rounded", np.ascontiguousarray(restored))
    set_scales(value, scales)
    node.replace_input_with(weight.index, value)
    bias = _bias(node)
    if bias is not None:
        corrected = (array_of(bias.node.inputs[bias.index]) + left).astype(np.float32)
        bias.node.replace_input_with(bias.index, edits.constant(f"{node.name}.corrected_bias", corrected))


def _run(session: ort.InferenceSession, data: Dataset) -> list[Array]:
    return [outputs[0].astype(np.float64) for _, outputs in ort_session.over_samples(session, data)]


def _decibels(expected: list[Array], seen: list[Array]) -> Array:
    noise = [((a - b) ** 2).sum() for a, b in zip(expected, seen)]
    return np.asarray(10 * np.log10([(a**2).sum() / max(n, 1e-12) for a, n in zip(expected, noise)]))


ROUNDINGS = {
    "to nearest; bias": _corrected("bias"),
    "rounding; bias": _corrected("rounding", "bias"),
    "sequential GPTQ; bias": _sequential(_gptaq(0)),
    "GPTAQ, a = 0.25; bias": _sequential(_gptaq(0.25)),
    "GPTAQ, a = 1; bias": _sequential(_gptaq(1)),
    "AdaRound; bias": _adarounded,
}


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
