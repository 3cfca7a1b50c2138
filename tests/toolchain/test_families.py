"""Every family of models through export, parity with its module over sizes, and int8 on ONNX Runtime.

The models are untrained, since the question is what a graph computes; `benchmarks/families.py` asks how well they do.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import pytest

from hwbench.data import dataset
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import NotInstalledError, UsageError
from runtimes.inference.load import load
from runtimes.profile import HardwareProfile, QuantizationScheme
from runtimes.tensors import Array, Feeds
from runtimes.verification.golden import relative_error, slice_error
from tests import families
from tests.families import Family, _files, _parity
from tests.families._refused import REFUSED
from toolchain.candidates.build_candidate import CandidateBuilder
from toolchain.candidates.candidate import Candidate
from toolchain.exporters import exporter
from toolchain.models import ort_session
from toolchain.models.onnx_model import OnnxModel
from toolchain.recipes.recipe import Recipe
from toolchain.sources.input_specs import parse_input
from toolchain.sources.sizes import sizes_of

FLOAT_ERROR = 1e-3  # what the exporter allows of float32 on other kernels
CALIBRATION = 24

# Not marked int8: torch's LSTM, which the parity needs, crashes under qemu 7.2.
pytestmark = pytest.mark.usefixtures("one_process")
FINDS_ANY_NUMBER = {"yolo-nms"}  # of rows, so that int8 may find another number, or the same in another order


@dataclass(frozen=True)
class Exported:
    """A family's module, its export, calibration samples, and inputs at several sizes with the module's outputs."""

    name: str
    family: Family
    model: OnnxModel
    calibration: Path
    cases: list[tuple[Feeds, list[Array]]]


@pytest.fixture(scope="module", params=families.names())
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    family = loaded(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    specs = [parse_input(text) for text in family.INPUTS]
    calibration = _files.write(family.samples("train", CALIBRATION), folder / "calibration.npz", labels=False)
    arrays = dataset.read(calibration, specs).arrays
    model = exporter("module").export(f"{family.__file__}:make", specs, folder / "model.onnx", arrays)
    feeds = next(dataset.read(calibration, specs).feeds())
    return Exported(request.param, family, model, calibration, list(_parity.cases(family.make(), specs, feeds)))


def loaded(name: str) -> Family:
    try:
        return families.family(name)
    except NotInstalledError as missing:
        pytest.skip(str(missing))


def test_an_export_computes_what_the_module_does_at_every_size(exported: Exported) -> None:
    session = ort_session.session(exported.model.path)
    for feeds, expected in exported.cases:
        outputs = session.run(None, {spec.name: feeds[spec.name] for spec in exported.model.inputs})
        for output, wanted in itertools.zip_longest(outputs, expected):
            assert slice_error(output, wanted) <= FLOAT_ERROR


def test_dynamic_dimensions_are_tried_at_sizes_that_no_sample_has(exported: Exported) -> None:
    specs = exported.model.inputs
    sampled = dataset.read(exported.calibration, specs).sizes
    tried = [sizes_of(specs, feeds) for feeds, _ in exported.cases]
    declared = {size for text in exported.family.INPUTS for size in parse_input(text).shape if isinstance(size, str)}
    assert set(sampled) == declared
    for dimension, sizes in sampled.items():
        assert {each[dimension] for each in tried} - set(sizes), dimension


def test_int8_computes_nearly_the_same_at_every_size(
    exported: Exported, cpu_scheme: QuantizationScheme, here: HardwareProfile, tmp_path: Path
) -> None:
    data = dataset.read(exported.calibration, exported.model.inputs)
    builder = CandidateBuilder("m", exported.model, data, tmp_path)
    candidate = Candidate(Recipe("int8", "minmax", cpu_scheme), "onnxruntime", RuntimeSettings(1))
    worst = 0.0
    with load(builder.make(candidate, here).bundle, any_machine=True) as session:
        for feeds, expected in exported.cases:
            outputs = session.run({spec.name: feeds[spec.name] for spec in session.inputs})
            for spec, wanted in zip(session.outputs, expected):
                if exported.name in FINDS_ANY_NUMBER:
                    assert outputs[spec.name].shape[2:] == wanted.shape[2:]
                    continue
                assert outputs[spec.name].shape == wanted.shape
                if wanted.dtype.kind == "f":
                    worst = max(worst, relative_error(outputs[spec.name], wanted))
    assert worst <= exported.family.INT8_ERROR


@pytest.mark.parametrize(("name", "factory", "words"), REFUSED)
def test_what_cannot_be_exported_is_refused_with_its_reason(
    name: str, factory: str, words: str, tmp_path: Path
) -> None:
    family = families.family(name)
    specs = [parse_input(text) for text in family.INPUTS]
    samples = _files.write(family.samples("train", 4), tmp_path / "samples.npz", labels=False)
    with pytest.raises(UsageError, match=words):
        exporter("module").export(
            f"{family.__file__}:{factory}", specs, tmp_path / "model.onnx", dataset.read(samples, specs).arrays
        )
