"""The page and the printed table of families: a figure in every cell, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.family_rows import RUNTIMES, Figures, Row

_NAMES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
_WHY = {
    "MatMul": "both factors are computed, as in attention",
    "Gemm": "its form has no integer kernel",
    "Conv": "its weights are computed",
    "ConvTranspose": "no runtime has an integer one",
    "GRU": "no static int8 has an integer one",
    "LSTM": "OpenVINO has no integer one",
    "STFT": "no runtime has an integer one",
    "DFT": "no runtime has an integer one",
}
_HEAD = """# Families of models

`make test-families` writes this page. It trains each family of `tests/families` for seconds, and takes it through
`edgewright build` on both CPU runtimes. `tests/toolchain/test_families.py` repeats export, sizes and int8 in CI.

The models are tiny, so that the whole table takes minutes. Much of an inference is overhead, so the speed says little
about larger models; `benchmarks/results/peers.txt` has real ones. Scores are those of 200 samples that no model was
trained on, of 100 for the table of numbers; a model without labels is judged by parity with its source.
"""


def page(rows: Sequence[Row]) -> str:
    """Write docs/families.md."""
    parts = [
        _HEAD,
        "## Export\n",
        _EXPORT,
        _table(["family", "model and data", "input", "error, at sizes"], map(_export, rows)),
    ]
    for runtime in RUNTIMES:
        parts += [f"\n## int8 on {_NAMES[runtime]}\n", _table(_COLUMNS, (_int8(row, runtime) for row in rows))]
    parts += ["\n## What is refused\n", _REFUSED, _table(["family", "form", "sentence"], _refusals(rows))]
    return "\n".join(parts)


_EXPORT = """All go from PyTorch through `torch.export` to ONNX. The error is the largest one of an output's slice
against the module, over the sizes that were tried: the example's, and larger and smaller ones of each dynamic
dimension.
"""
_REFUSED = """Forms of the same models that people write first. The sentence is what `edgewright build` says.
"""
_COLUMNS = ["family", "metric", "float32", "int8", "speed", "products in float32", "verdict of the build"]
_NONE = ["see the verdict"] * 4


def text(rows: Sequence[Row]) -> str:
    """Write the printed table."""
    lines = []
    for row in rows:
        lines.append(f"{row.name}: {row.refusal or f'error {row.error:.1e} at {row.sizes} sizes'}")
        for runtime in row.runtimes:
            _, *cells = _int8(row, runtime)
            lines.append(f"  {runtime:12}" + "  ".join(cells))
        lines += [f"  refused {form}: {sentence}" for form, sentence in row.refused.items()]
    return "\n".join(lines)


def _table(columns: Sequence[str], rows: object) -> str:
    lines = [columns, ["---"] * len(columns), *rows]  # type: ignore[misc]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)


def _export(row: Row) -> list[str]:
    inputs = ", ".join(f"`{text}`" for text in row.inputs) or "none"
    found = row.refusal if not row.sizes else f"{row.error:.0e}, at {row.sizes}"
    return [row.title or row.name, row.about or row.refusal, inputs, found]


def _int8(row: Row, runtime: str) -> list[str]:
    title, metrics = row.title or row.name, ", ".join(row.metrics)
    found = row.runtimes.get(runtime)
    if found is None:
        return [title, metrics or "none", *_NONE, row.refusal or "not measured"]
    if not found.scores:
        return [title, metrics, *_NONE, found.note]
    before = ", ".join(_number(score) for score, _ in found.scores.values())
    after = ", ".join(_number(score) for _, score in found.scores.values())
    return [title, metrics, before, after, _speed(found), _in_float(found), found.note]


def _number(score: float) -> str:
    return f"{score:.4f}" if abs(score) < 10 else f"{score:.2f}"


def _speed(found: Figures) -> str:
    if found.faster is None:
        return "not measured"
    ratio, low, high = found.faster
    return f"{ratio:.2f}x" if low > 1 or high < 1 else f"{ratio:.2f}x, within noise"


def _in_float(found: Figures) -> str:
    left = [f"{n} {op} ({_WHY.get(op, 'no integer kernel')})" for op, n in found.in_float.items()]
    return f"{'; '.join(left)}" if left else f"none of {found.products}"


def _refusals(rows: Sequence[Row]) -> list[list[str]]:
    return [[row.title, f"`{form}`", sentence] for row in rows for form, sentence in row.refused.items()]
