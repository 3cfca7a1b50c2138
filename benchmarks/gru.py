"""Time of a GRU as a Scan with integer products beside ONNX Runtime's own GRU, with the error of its states.

    python -m benchmarks.gru | tee benchmarks/results/gru.txt

One thread, batch 1, medians of the thread's CPU time, by forms that take turns. `input / recurrent` says how the
product with the inputs (of all steps at once, before the Scan) and the one with the state (in the Scan's body) are
computed: in float32; by DynamicQuantizeMatMul, with int8 weights per channel and a state that is quantized in every
step; or by MatMulNBits, with 8 bits and a scale per 32 weights, which computes in int8, too. The last network is the
encoder of g2p, with its trained weights, over a word of 16 letters; the others are random. SQNR is that of all states,
in dB.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime as ort

from benchmarks.zoo import g2p
from hwbench.machine.identity import this_machine
from runtimes.tensors import Array

Product = Callable[[str, str, str, Array], tuple[str, dict[str, Array]]]
"""Writes `output = input @ weight + bias` as text of a node; returns the constants that it reads, too."""

_TURNS, _RUNS = 60, 4
_BLOCK = 32
_RNG = np.random.default_rng(0)


def main() -> None:
    """Measure every form of every GRU and print the table."""
    machine = this_machine()
    print(f"{machine.cpu}, {' '.join(machine.isa)}, onnxruntime {version('onnxruntime')}\n")
    print(f"{'network':22}{'input / recurrent':22}{'ms':>9}{'of GRU':>8}{'us/step':>9}{'SQNR':>7}")
    for steps, units in ((32, 128), (16, 256), (100, 256), (100, 320), (200, 400), (100, 512)):
        weights = [_normal(1, 3 * units, units) / np.sqrt(units) for _ in range(2)]
        constants = [*weights, _normal(1, 6 * units) * 0.1]
        _report(f"GRU {units}, {steps} steps", _normal(steps, 1, units), [c.astype(np.float32) for c in constants])
    _report("GRU of g2p, 16 steps", *_trained())


def _report(name: str, x: Array, constants: list[Array]) -> None:
    forms = {"ONNX Runtime's GRU": _gru(x, *constants)}
    for kinds in ((_float, _float), (_dynamic, _dynamic), (_dynamic, _blocks), (_float, _blocks)):
        forms[" / ".join(kind.__name__[1:] for kind in kinds)] = _scan(x, *constants, *kinds)
    sessions = {form: _session(model) for form, model in forms.items()}
    states = {form: session.run(None, {"x": x})[0].ravel() for form, session in sessions.items()}
    times: dict[str, list[int]] = {form: [] for form in sessions}
    for _ in range(_TURNS):
        for form, session in sessions.items():
            times[form] += [_run_ns(session, x) for _ in range(_RUNS)][1:]
    exact, *_ = states.values()
    base, *_ = (float(np.median(taken)) for taken in times.values())
    for form, taken in times.items():
        ns, noise = float(np.median(taken)), float(((states[form] - exact) ** 2).sum())
        sqnr = f"{10 * np.log10((exact**2).sum() / noise):7.1f}" if noise else ""
        print(f"{name:22}{form:22}{ns / 1e6:9.4f}{ns / base:8.2f}{ns / 1e3 / len(x):9.1f}{sqnr}", flush=True)


def _gru(x: Array, w: Array, r: Array, b: Array) -> onnx.ModelProto:
    steps, _, width = x.shape
    units = r.shape[2]
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
        gru (float[{steps},1,{width}] x) => (float[{steps},1,1,{units}] y)
        {{ y = GRU<hidden_size={units}, linear_before_reset=1>(x, w, r, b) }}"""
    return _with_constants(onnx.parser.parse_model(text), {"w": w, "r": r, "b": b})


def _scan(x: Array, w: Array, r: Array, b: Array, of_input: Product, recurrent: Product) -> onnx.ModelProto:
    steps, _, width = x.shape
    units = r.shape[2]
    before, within = b[0, : 3 * units].copy(), b[0, 3 * units :].copy()
    before[: 2 * units] += within[: 2 * units]  # the reset gate multiplies the last part's bias alone
    within[: 2 * units] = 0
    projected, outer = of_input("x", "projected", "w", np.vstack([w[0].T, before]))
    product, inner = recurrent("h", "product", "r", np.vstack([r[0].T, within]))
    text = f"""<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
        gru (float[{steps},1,{width}] x) => (float[{steps},1,{units}] y) {{
            {projected}
            of_gates, of_candidate = Split<axis=-1>(projected, parts)
            last, y = Scan<num_scan_inputs=2, body = step (
                float[1,{units}] h, float[1,{2 * units}] x_gates, float[1,{units}] x_candidate
            ) => (float[1,{units}] new, float[1,{units}] state) {{
                {product}
                h_gates, h_candidate = Split<axis=-1>(product, body_parts)
                sums = Add(h_gates, x_gates)
                gates = Sigmoid(sums)
                update, reset = Split<axis=-1>(gates, halves)
                kept = Mul(reset, h_candidate)
                all = Add(kept, x_candidate)
                candidate = Tanh(all)
                step_back = Sub(h, candidate)
                part = Mul(update, step_back)
                new = Add(candidate, part)
                state = Identity(new)
            }}>(initial, of_gates, of_candidate)
        }}"""
    parts, halves = np.array([2 * units, units]), np.array([units, units])
    model = onnx.parser.parse_model(text)
    body = next(a.g for node in model.graph.node if node.op_type == "Scan" for a in node.attribute if a.name == "body")
    for name, array in {**inner, "body_parts": parts, "halves": halves}.items():
        body.initializer.append(onnx.numpy_helper.from_array(array, name))
    return _with_constants(model, {**outer, "parts": parts, "initial": np.zeros((1, units), np.float32)})


def _float(source: str, output: str, name: str, weight: Array) -> tuple[str, dict[str, Array]]:
    text = f"{output}_sum = MatMul({source}, {name}) {output} = Add({output}_sum, {name}_bias)"
    return text, {name: np.ascontiguousarray(weight[:-1]), f"{name}_bias": weight[-1]}


def _dynamic(source: str, output: str, name: str, weight: Array) -> tuple[str, dict[str, Array]]:
    """DynamicQuantizeMatMul."""
    text = f"{output} = com.microsoft.DynamicQuantizeMatMul({source}, {name}, {name}_scale, {name}_zero, {name}_bias)"
    scale = np.abs(weight[:-1]).max(axis=0) / 127
    integers, zero = np.rint(weight[:-1] / scale).astype(np.int8), np.zeros(len(scale), np.int8)
    return text, {name: integers, f"{name}_scale": scale, f"{name}_zero": zero, f"{name}_bias": weight[-1]}


def _blocks(source: str, output: str, name: str, weight: Array) -> tuple[str, dict[str, Array]]:
    """MatMulNBits, whose weights are unsigned around 128 and transposed; accuracy level 4 computes in int8."""
    depth, channels = len(weight) - 1, weight.shape[1]
    text = f"""{output} = com.microsoft.MatMulNBits
        <K={depth}, N={channels}, bits=8, block_size={_BLOCK}, accuracy_level=4>
        ({source}, {name}, {name}_scale, , , {name}_bias)"""
    padded = np.pad(weight[:-1], ((0, -depth % _BLOCK), (0, 0)))
    blocks = np.ascontiguousarray(padded.T).reshape(channels, -1, _BLOCK)
    scale = np.maximum(np.abs(blocks).max(axis=2, keepdims=True) / 127, np.float32(1e-30))
    integers = (np.rint(blocks / scale) + 128).astype(np.uint8)
    return text, {name: integers, f"{name}_scale": scale.ravel(), f"{name}_bias": weight[-1]}


def _trained() -> tuple[Array, list[Array]]:
    """Read the encoder of g2p, whose gates ONNX has in another order than torch, and a word's letters."""
    model = g2p.load()
    letters = np.load(g2p.prepare().evaluation)["letters"][:1]
    x = model.letters.weight.detach().numpy()[letters[0]][:, None]
    kinds = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    parts = [np.split(getattr(model.encoder, kind).detach().numpy(), 3) for kind in kinds]
    w, r, *biases = (np.concatenate([update, reset, new]) for reset, update, new in parts)
    return x, [w[None], r[None], np.concatenate(biases)[None]]


def _with_constants(model: onnx.ModelProto, constants: dict[str, Array]) -> onnx.ModelProto:
    for name, array in constants.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return model


def _session(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options)


def _run_ns(session: ort.InferenceSession, x: Array) -> int:
    start = time.thread_time_ns()
    session.run(None, {"x": x})
    return time.thread_time_ns() - start


def _normal(*shape: int) -> Array:
    return _RNG.standard_normal(shape).astype(np.float32)


if __name__ == "__main__":
    main()
