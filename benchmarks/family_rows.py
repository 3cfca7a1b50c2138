"""Measurements of one family: its export at several sizes, and a build of it on both CPU runtimes.

    python -m benchmarks.family_rows FAMILY FOLDER

Writes FOLDER/row.json.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hwbench.data import dataset
from hwbench.measurements.report import NotMeasuredError
from hwbench.results.profile_results import CandidateResult, from_json
from runtimes.codec import encode
from runtimes.errors import EdgewrightError
from runtimes.verification.golden import slice_error
from tests import families
from tests.families import Family, _files, _parity, _training
from tests.families._refused import REFUSED
from tests.helpers import one_process
from toolchain.cli import main as edgewright
from toolchain.exporters import exporter
from toolchain.graphs.products import PRODUCTS
from toolchain.graphs.weights import RECURRENT
from toolchain.models import ort_session
from toolchain.models.onnx_model import OnnxModel
from toolchain.models.prepare import prepare
from toolchain.recipes.qdq_placement import place
from toolchain.sources.input_specs import parse_input

RUNTIMES = ("onnxruntime", "openvino")
_CALIBRATION, _EVALUATION = 64, 200
_DURATION_S = 0.1
_LIMIT = "--time-limit=45s"  # reached on a busy machine alone, whose disturbed measurements are repeated
_HEAVY = PRODUCTS | RECURRENT | {"ConvTranspose", "STFT", "DFT"}


@dataclass(frozen=True)
class Figures:
    """A family on one runtime.

    Attributes:
        scores: the source's score and int8's, by metric.
        faster: p50 of float32 divided by that of int8, and its interval.
        in_float: operators that compute products in float32, and how many of each.
        products: the number of products.
        note: what the build says of int8: the reason of its status, or why it was not made.
    """

    scores: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    faster: tuple[float, float, float] | None = None
    in_float: Mapping[str, int] = field(default_factory=dict)
    products: int = 0
    note: str = ""


@dataclass(frozen=True)
class Row:
    """A family.

    Attributes:
        about: the model and its data, in a sentence.
        sizes: the number of sizes at which the export was compared with the module.
        error: the largest error there.
        runtimes: figures by runtime; empty if the family cannot be exported or built.
        refused: the sentences that refuse other forms of the family, by factory.
        refusal: the reason why there is no row.
    """

    name: str
    title: str = ""
    about: str = ""
    inputs: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    sizes: int = 0
    error: float = 0.0
    runtimes: Mapping[str, Figures] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    refusal: str = ""


def main(name: str, folder: Path) -> None:
    """Train a family if it was not trained before, export it, build it, and write its row."""
    row = described(name)
    if row.refusal:
        _write(row, folder)
        return
    family = families.family(name)
    _train(family)
    calibration = _files.write(family.samples("train", _CALIBRATION), folder / "calibration.npz", labels=False)
    evaluation = _files.write(family.samples("test", _EVALUATION), folder / "evaluation.npz", labels=True)
    row = replace(row, refused=_refusals(name, family, calibration, folder))
    try:
        model, row = _exported(row, family, calibration, folder)
    except EdgewrightError as error:
        _write(replace(row, refusal=str(error)), folder)
        return
    _write(replace(row, refusal="the build was stopped"), folder)
    _build(family, calibration, evaluation, folder)
    report = folder / "out/report.json"
    (profile,) = from_json(report.read_text(), str(report)).profiles
    figures = {runtime: _figures(runtime, profile.candidates, model) for runtime in RUNTIMES}
    _write(replace(row, runtimes=figures), folder)


def described(name: str) -> Row:
    """Begin a family's row with what its file says; with a refusal, if it needs a package that is missing."""
    try:
        family = families.family(name)
    except EdgewrightError as missing:
        return Row(name, refusal=str(missing))
    about = " ".join((family.__doc__ or "").split())
    return Row(name, family.TITLE, about, family.INPUTS, family.METRICS or ("parity",))


def _write(row: Row, folder: Path) -> None:
    (folder / "row.json").write_text(json.dumps(encode(row)))


def _train(family: Family) -> None:
    file = _training.weights_file(family.__name__.rpartition(".")[2])
    if file is not None and not file.exists():
        torch.manual_seed(0)
        module = family.make()
        family.train(module)
        _training.store(module, file)


def _refusals(name: str, family: Family, calibration: Path, folder: Path) -> dict[str, str]:
    specs = [parse_input(text) for text in family.INPUTS]
    arrays, said = dataset.read(calibration, specs).arrays, {}
    for factory in [factory for other, factory, _ in REFUSED if other == name]:
        try:
            exporter("module").export(f"{family.__file__}:{factory}", specs, folder / "refused.onnx", arrays)
            said[factory] = "not refused"
        except EdgewrightError as error:
            said[factory] = str(error).replace(f"{family.__file__}:", "").replace(str(family.__file__), name)
    return said


def _exported(row: Row, family: Family, calibration: Path, folder: Path) -> tuple[OnnxModel, Row]:
    """Export, and compare with the module at several sizes."""
    specs = [parse_input(text) for text in family.INPUTS]
    data = dataset.read(calibration, specs)
    model = exporter("module").export(f"{family.__file__}:make", specs, folder / "model.onnx", data.arrays)
    session = ort_session.session(model.path)
    errors = []
    for feeds, expected in _parity.cases(family.make(), specs, next(data.feeds())):
        outputs = session.run(None, {spec.name: feeds[spec.name] for spec in model.inputs})
        errors.append(max(map(slice_error, outputs, expected)))
    return model, replace(row, sizes=len(errors), error=float(np.max(errors)))


def _build(family: Family, calibration: Path, evaluation: Path, folder: Path) -> None:
    """Build as a user would; whatever the verdict, the report is written.

    Raises:
        SystemExit: the build was refused, with the sentence on stderr.
    """
    options = [f"--runtime={runtime}" for runtime in RUNTIMES] + [f"--input={text}" for text in family.INPUTS]
    options += ["--precision=fp32,int8", "--exhaustive", "--threads=1", f"--duration={_DURATION_S}", _LIMIT]
    options += [f"--metric={metric}" for metric in family.METRICS]
    options += [f"--budget=accuracy_drop[{metric}]<=5%" for metric in family.METRICS] or ["--budget=accuracy_drop<=5%"]
    options += [f"--calibration={calibration}", f"--evaluation={evaluation}", f"--out={folder / 'out'}"]
    with pytest.MonkeyPatch.context() as patch:
        one_process.install(patch)  # a process per block and candidate takes longer than all inferences together
        try:
            edgewright(["build", f"{family.__file__}:make", *options])
        except SystemExit as done:
            if done.code == 2:
                raise


def _figures(runtime: str, candidates: tuple[CandidateResult, ...], model: OnnxModel) -> Figures:
    source, int8 = (
        next((each for each in candidates if each.name == f"{precision} ({runtime})"), None)
        for precision in ("fp32", "int8")
    )
    if source is None or int8 is None:
        return Figures(note=f"this machine's profile has no int8 on {runtime}")
    if int8.report is None:
        return Figures(note=int8.reason)
    products = int8.layers.values()
    return Figures(
        _scores(int8), _faster(source, int8), _in_float(runtime, model), sum(products), f"{int8.status}: {int8.reason}"
    )


def _scores(int8: CandidateResult) -> dict[str, tuple[float, float]]:
    accuracy = int8.report.accuracy if int8.report else None
    each = (accuracy, *getattr(accuracy, "others", ())) if accuracy else ()
    return {one.metric: (one.reference.value if one.reference else np.nan, one.value) for one in each}


def _faster(source: CandidateResult, int8: CandidateResult) -> tuple[float, float, float] | None:
    try:
        assert source.report is not None and int8.report is not None
        before, after = source.report.estimate("p50"), int8.report.estimate("p50")
    except (AssertionError, NotMeasuredError):
        return None
    return before.value / after.value, before.low / after.high, before.high / after.low


def _in_float(runtime: str, model: OnnxModel) -> dict[str, int]:
    """Count the products that int8 leaves in float32, by operator."""
    graph = prepare(model)
    placed = place(graph, ()).nodes
    left = Counter(node.op_type for node in graph.graph.all_nodes() if node.op_type in _HEAVY and node not in placed)
    if runtime == "onnxruntime":
        left.pop("LSTM", None)  # it has an integer LSTM
    return dict(left.most_common())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
