"""Cost of each int8 form of recurrent networks and embedding tables in ONNX Runtime, beside float32.

    python -m benchmarks.forms | tee benchmarks/results/forms.txt
    python -m benchmarks.forms "GRU 256" "GRU 512"

One thread, batch 1, medians. The forms of a network take turns of ten runs, of which the first is left out, since it
finds another form's weights in the cache. Weights are random: the errors (relative, the worst output) show the forms'
order, not what a trained network would lose.
"""

from __future__ import annotations

import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from hwbench.machine.identity import this_machine
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from runtimes.verification.golden import relative_error
from toolchain.models.onnx_model import open_model
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe

FORMS = {
    "float32": None,
    "int8-storage": Recipe("int8-storage"),
    "int8-dynamic, plain ONNX": Recipe("int8-dynamic", None, QuantizationScheme()),
    "int8-dynamic": Recipe("int8-dynamic", None, QuantizationScheme(contrib_ops=True)),
}
_RNG = np.random.default_rng(0)
_SECONDS, _TURNS, _RUNS = 5.0, 500, 10


def main() -> None:
    """Measure every form of every network whose name begins as asked, and print the table."""
    wanted = tuple(sys.argv[1:]) or ("",)
    machine = this_machine()
    print(f"{machine.cpu}, {' '.join(machine.isa)}, onnxruntime {version('onnxruntime')}, onnx {version('onnx')}\n")
    print(f"{'network':30}{'form':26}{'ms':>9}{'of fp32':>9}{'MB':>8}{'error':>9}")
    for steps, units in ((1, 128), (32, 128), (32, 256), (100, 512)):
        for op, gates in (("LSTM", 4), ("GRU", 3)):
            name = f"{op} {units}, {steps} steps"
            if name.startswith(wanted):
                _report(name, _recurrent(op, gates, units), _normal(steps, 1, units))
    for rows, width, words in ((30_000, 384, 128), (30_000, 64, 16)):
        name = f"table {rows}x{width}, {words} words"
        if name.startswith(wanted):
            _report(name, _table(rows, width), _RNG.integers(0, rows, (1, words)))


def _report(name: str, model: onnx.ModelProto, sample: Array) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = {form: Path(folder, f"{index}.onnx") for index, form in enumerate(FORMS)}
        source = files["float32"]
        onnx.save(model, source)
        for form, recipe in FORMS.items():
            if recipe is not None:
                quantize(open_model(source), recipe, None, files[form])
        sizes = {form: file.stat().st_size / 1e6 for form, file in files.items()}
        sessions = {form: _session(file) for form, file in files.items()}
    outputs = {form: session.run(None, {"x": sample}) for form, session in sessions.items()}
    times: dict[str, list[int]] = {form: [] for form in sessions}
    end = time.perf_counter() + _SECONDS
    for _ in range(_TURNS):
        for form, session in sessions.items():
            times[form] += [_run_ns(session, sample) for _ in range(_RUNS)][1:]
        if time.perf_counter() > end:
            break
    base = float(np.median(times["float32"]))
    for form, taken in times.items():
        median = float(np.median(taken))
        error = max(map(relative_error, outputs[form], outputs["float32"]))
        print(f"{name:30}{form:26}{median / 1e6:9.4f}{median / base:9.2f}{sizes[form]:8.2f}{error:9.4f}", flush=True)


def _run_ns(session: ort.InferenceSession, sample: Array) -> int:
    start = time.perf_counter_ns()
    session.run(None, {"x": sample})
    return time.perf_counter_ns() - start


def _session(file: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(file, options)


def _recurrent(op: str, gates: int, units: int) -> onnx.ModelProto:
    """A layer and the head that reads it, which gives int8-dynamic something to compute in every network."""
    outputs, rest = ("y, h, c", "") if op == "LSTM" else ("y, h", ", linear_before_reset=1")
    return _model(
        f"""t (float[T,1,{units}] x) => (float[T,1,1,64] scores, float[1,1,{units}] h) {{
            {outputs} = {op}<hidden_size={units}{rest}>(x, w, r, b)
            scores = MatMul(y, head)
        }}""",
        {
            "w": _normal(1, gates * units, units) / np.sqrt(units),
            "r": _normal(1, gates * units, units) / np.sqrt(units),
            "b": _normal(1, 2 * gates * units) * 0.1,
            "head": _normal(units, 64) / np.sqrt(units),
        },
    )


def _table(rows: int, width: int) -> onnx.ModelProto:
    return _model(
        "t (int64[N,S] x) => (float[N,S,64] y) { e = Gather(table, x) y = MatMul(e, head) }",
        {"table": _normal(rows, width), "head": _normal(width, 64) / np.sqrt(width)},
    )


def _model(text: str, constants: dict[str, Array]) -> onnx.ModelProto:
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}')
    for name, array in constants.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array.astype(np.float32), name))
    return proto


def _normal(*shape: int) -> Array:
    return _RNG.standard_normal(shape).astype(np.float32)


if __name__ == "__main__":
    main()
