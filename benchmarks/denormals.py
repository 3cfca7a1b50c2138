"""Gain of flushing denormals to zero, by the runtimes' own options, on models of one operator each.

    python -m benchmarks.denormals | tee benchmarks/results/denormals.txt

Denormals are float32 numbers below 1.18e-38, which some processors compute in microcode. Each cell is the time of one
inference on one thread with the option, divided by the time without it: the least median of five processes each, since
an option that is set once holds for its thread. The last lines tell what the options change beside the session.
"""

from __future__ import annotations

import itertools
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper, parser

from hwbench.machine.identity import this_machine
from runtimes.tensors import Array

_DENORMAL = 1e-39
_MODELS = {  # by operator: its input, its weights, and how it is written
    "MatMul": ((1, 256), {"w": (256, 256)}, "MatMul(x, {w})"),
    "Conv": ((1, 16, 32, 32), {"w": (16, 16, 3, 3)}, "Conv<pads=[1,1,1,1]>(x, {w})"),
    "LSTM": ((50, 1, 64), {"w": (1, 256, 64), "r": (1, 256, 64)}, "LSTM<hidden_size=64>(x, {w}, {r})"),
    "Mul": ((1, 65536), {"w": (65536,)}, "Mul(x, {w})"),
}
_VALUES = {  # by name: the factor of weights, their share that has it, and the factor of the input
    "none": (1, 0, 1),
    "1% of weights": (_DENORMAL, 0.01, 1),
    "10% of weights": (_DENORMAL, 0.1, 1),
    "all weights": (_DENORMAL, 1, 1),
    "the input": (1, 0, _DENORMAL),
}
_COPIES, _RUNS, _PROCESSES = 8, 100, 5


def main() -> None:
    """Measure every model on both runtimes, and print the table."""
    runtimes = f"onnxruntime {ort.__version__}, openvino {version('openvino')}"
    print(f"{this_machine().cpu}, {runtimes}: time with the option / without\n")
    print(f"{'':20}" + "".join(f"{name:>16}" for name in _VALUES))
    for runtime, operator in itertools.product(("onnxruntime", "openvino"), _MODELS):
        plain, flushed = (_least(runtime, operator, flush) for flush in (False, True))
        print(f"{runtime:12}{operator:8}" + "".join(f"{cell:16.2f}" for cell in flushed / plain), flush=True)
    print()
    for runtime, flush_first in itertools.product(("onnxruntime", "openvino"), (True, False)):
        print(_in_process(_side_effects, runtime, flush_first), flush=True)


def _least(runtime: str, operator: str, flush: bool) -> Array:
    return np.min([_in_process(_medians, runtime, operator, flush) for _ in range(_PROCESSES)], axis=0)


def _in_process(function: Callable[..., object], *arguments: object) -> object:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _medians(runtime: str, operator: str, flush: bool) -> list[float]:
    """Time each kind of values, in seconds."""
    medians = []
    for factor, share, of_input in _VALUES.values():
        shape = _MODELS[operator][0]
        x = (np.random.default_rng(1).normal(size=shape) * of_input).astype(np.float32)
        infer = _loaded(runtime, _model(operator, factor, share), flush)
        taken = []
        for _ in range(_RUNS):
            start = time.perf_counter()
            infer(x)
            taken.append(time.perf_counter() - start)
        medians.append(float(np.median(taken)))
    return medians


def _model(operator: str, factor: float, share: float) -> bytes:
    """Write a model of several such operators that share an input, each with weights of its own."""
    shape, weights, call = _MODELS[operator]
    rng, lines, constants = np.random.default_rng(0), [], []
    for copy in range(_COPIES):
        names = {name: f"{name}{copy}" for name in weights}
        lines.append(f"y{copy} = {call.format(**names)}")
        for name, size in weights.items():
            array = rng.normal(size=size) / 16
            array = np.where(rng.random(size) < share, array * factor, array).astype(np.float32)
            constants.append(numpy_helper.from_array(array, names[name]))
    outputs = ", ".join(f"float y{copy}" for copy in range(_COPIES))
    text = f'<ir_version: 8, opset_import: ["" : 17]> m (float[{",".join(map(str, shape))}] x) => ({outputs}) {{'
    model = parser.parse_model("\n".join([text, *lines, "}"]))
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    model.graph.initializer.extend(constants)
    return bytes(model.SerializeToString())


def _loaded(runtime: str, model: bytes, flush: bool) -> Callable[[Array], Array]:
    if runtime == "onnxruntime":
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.set_denormal_as_zero", str(int(flush)))
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return lambda x: np.asarray(session.run(None, {"x": x})[0])
    import openvino as ov

    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": "1"}
    config |= {"ENABLE_CPU_PINNING": "NO", "CPU_DENORMALS_OPTIMIZATION": "YES" if flush else "NO"}
    core = ov.Core()
    request = core.compile_model(core.read_model(model), "CPU", config).create_infer_request()
    return lambda x: np.array(request.infer({"x": x})[0])


def _side_effects(runtime: str, flush_first: bool) -> str:
    """Open a session with the option and one without, in either order, and tell which of both flush, and NumPy."""
    node = helper.make_node("Mul", ["x", "w"], ["y"])
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [64]) for name in "xy")
    tiny = numpy_helper.from_array(np.full(64, 1e-30, np.float32), "w")
    graph = helper.make_graph([node], "product", [x], [y], [tiny])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    values, flushes = np.full(64, 1e-9, np.float32), {}
    for flush in (flush_first, not flush_first):
        infer = _loaded(runtime, model, flush)
        flushes["with" if flush else "without"] = not infer(values).any()
    numpy_flushes = not (values * np.float32(1e-30)).any()
    order = "the session with the option first" if flush_first else "the session without it first"
    told = ", ".join(f"the session {name} it {'flushes' if does else 'does not'}" for name, does in flushes.items())
    return f"{runtime}, {order}: {told}, NumPy {'flushes' if numpy_flushes else 'does not'}"


if __name__ == "__main__":
    main()
