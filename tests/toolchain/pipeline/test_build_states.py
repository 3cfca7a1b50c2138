"""Builds of models with states: sequences in, a bundle out that streams, and int8 that is right at both ends."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import one_process
import pytest
import step_models

import runtimes
from hwbench.budgets.budget import parse_all
from hwbench.formats import text
from hwbench.measurements.step_growth import step_growth
from hwbench.results.opened_bundle import open_bundle
from hwbench.results.profile_results import Results
from runtimes import npz
from runtimes.bundles.bundle import Bundle
from runtimes.errors import UsageError
from runtimes.profile import HardwareProfile
from runtimes.sample_arrays import RaggedArray, stack
from runtimes.sampling.closed_loop import SamplingPlan
from runtimes.verification.golden import relative_error, replay
from toolchain.pipeline.build import build
from toolchain.pipeline.request import BuildRequest

LENGTHS = [1, 25, 9, 16, 25, 3, 12, 25]


@dataclasses.dataclass(frozen=True)
class Built:
    module: step_models.Decoder
    request: BuildRequest
    results: Results

    @property
    def bundle(self) -> Path:
        (found,) = self.results.profiles
        assert found.bundle is not None
        return found.bundle


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory, device: HardwareProfile) -> Built:
    """A decoder step in int8, calibrated and scored on sequences of mixed lengths."""
    folder = tmp_path_factory.mktemp("decoder")
    request = BuildRequest(
        str(step_models.exported("decoder", folder / "decoder.onnx").path),
        "decoder",
        folder / "out",
        (device,),
        states=step_models.DECODER_STATES,
        calibration=step_models.write_sequences(folder / "calibration.npz", "token", LENGTHS),
        evaluation=step_models.write_sequences(folder / "evaluation.npz", "token", LENGTHS, seed=1),
        precisions=("int8",),
        runtimes=("onnxruntime",),
        budgets=parse_all(["accuracy_drop<=0.1"]),
        sampling=SamplingPlan(30, 60, 0.01, 0.05, 5),
        exhaustive=True,
    )
    request.out.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        one_process.install(patch)
        return Built(step_models.decoder(), request, build(request))


def test_the_bundle_holds_its_states_and_replays_its_sequences(decoder: Built) -> None:
    with Bundle(decoder.bundle) as bundle:
        assert bundle.manifest.artifact.states == {"past": "present"}
        golden = bundle.golden("output", bundle.manifest.artifact.outputs)
        (scores,) = golden.values()
        assert isinstance(scores, RaggedArray)
        assert [tuple(shape) for shape in scores.shapes] == [(length, 40) for length in LENGTHS[:4]]
        assert all(result.passed and result.error == 0 for result in replay(bundle))
    assert list(open_bundle(decoder.bundle).inputs) == ["token"]  # the past begins empty


def test_int8_is_right_at_both_ends_of_a_sequence(decoder: Built) -> None:
    (tokens,) = step_models.sequences("token", [25], seed=2)
    expected = step_models.whole_decoder(decoder.module, tokens[:, 0])
    with runtimes.load(decoder.bundle) as session:
        assert session.artifact.precision == "int8"
        stream = session.stream()
        errors = [
            relative_error(stream.run({"token": token[None]})["scores"], wanted[None])
            for token, wanted in zip(tokens, expected)
        ]
    assert 0 < max(errors) < 0.1
    assert max(errors[:3]) < 3 * float(np.median(errors)) and max(errors[-3:]) < 3 * float(np.median(errors))


def test_accuracy_is_that_of_the_whole_sequence_with_the_candidates_own_state(decoder: Built) -> None:
    (found,) = decoder.results.profiles
    assert found.selected is not None and found.selected.report is not None
    accuracy = found.selected.report.accuracy
    assert accuracy is not None and accuracy.n == len(LENGTHS)
    evaluated = step_models.sequences("token", LENGTHS, seed=1)
    with runtimes.load(decoder.bundle) as session:
        for tokens, score in zip(evaluated, accuracy.scores or ()):
            stream = session.stream()
            ours = np.concatenate([stream.run({"token": token[None]})["scores"] for token in tokens])
            error = relative_error(ours, step_models.whole_decoder(decoder.module, tokens[:, 0]))
            assert score == pytest.approx(1 - error, abs=1e-5)


def test_latency_is_that_of_steps_and_the_report_tells_its_growth(decoder: Built) -> None:
    (found,) = decoder.results.profiles
    assert found.selected is not None and found.selected.report is not None
    latency = found.selected.report.latency
    assert latency is not None
    for block in latency.blocks:
        assert block.sequence_steps == tuple(LENGTHS)
        whole = np.cumsum(LENGTHS * 2)
        assert len(block.samples_ns) in whole  # no sequence was cut short
    growth = step_growth(latency)
    assert growth is not None and growth.steps == 25 and growth.compared == 3
    assert "in the first 3 steps of a sequence" in text.render(decoder.results).replace("\n              ", " ")


def test_what_calibration_saw_leaves_states_out(decoder: Built) -> None:
    with Bundle(decoder.bundle) as bundle:
        assert set(bundle.manifest.distributions) == {"token", "scores"}


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ({"past": "presents"}, "--state presents=past: the model has no output 'presents'"),
        ({"past": "scores"}, "differ in their number of axes"),
    ],
)
def test_a_wrong_state_is_one_sentence(decoder: Built, states: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        build(dataclasses.replace(decoder.request, states=states))


def test_a_state_of_an_input_that_is_not_described_is_refused_before_an_export(decoder: Built) -> None:
    described = dataclasses.replace(decoder.request, source="step_models:decoder", inputs=step_models.DECODER_INPUTS)
    with pytest.raises(UsageError, match="--state present=pasts: no --input describes 'pasts', only token, past"):
        build(dataclasses.replace(described, states={"pasts": "present"}))


def test_a_metric_of_one_answer_per_sample_is_refused(decoder: Built) -> None:
    with pytest.raises(UsageError, match=r"The metric top1 takes one answer per sample, and samples .* are sequences"):
        build(dataclasses.replace(decoder.request, metrics=("top1",)))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 1), np.int64), r"has shape \[4, 1\]; .* first axis must be the samples, its second their steps"),
        (np.zeros((4, 9, 2), np.int64), "first axis must be the samples, its second their steps"),
        (np.zeros((4, 0, 1), np.int64), "Sequence 0 has no steps"),
    ],
)
def test_samples_that_are_no_sequences_are_one_sentence(
    decoder: Built, array: np.ndarray, words: str, tmp_path: Path
) -> None:
    npz.write(tmp_path / "wrong.npz", {"token": array})
    request = dataclasses.replace(decoder.request, calibration=tmp_path / "wrong.npz", evaluation=None)
    with pytest.raises(UsageError, match=words):
        build(request)


@pytest.mark.usefixtures("one_process")
def test_initial_states_are_samples_of_their_own(decoder: Built, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    past = [rng.standard_normal((2, 4, length, 8)).astype(np.float32) for length in (0, 5, 9)]
    tokens = step_models.sequences("token", [4, 2, 6])
    npz.write(tmp_path / "samples.npz", {"token": stack(tokens), "past": stack(past)})
    out = tmp_path / "out"
    out.mkdir()
    request = dataclasses.replace(decoder.request, out=out, calibration=tmp_path / "samples.npz", evaluation=None)
    (found,) = build(request).profiles
    assert found.bundle is not None
    opened = open_bundle(found.bundle)
    assert [array.shape for array in opened.inputs["past"]] == [array.shape for array in past]


def test_a_recurrent_cell_builds_without_samples(tmp_path: Path, device: HardwareProfile) -> None:
    cell, plan = step_models.cell(), SamplingPlan(10, 20, 0.01, 0.05, 5)
    request = BuildRequest(
        "step_models:cell",
        "cell",
        tmp_path,
        (device,),
        inputs=step_models.CELL_INPUTS,
        states=step_models.CELL_STATES,
        sampling=plan,
    )
    (found,) = build(dataclasses.replace(request, precisions=("fp32",), runtimes=("onnxruntime",))).profiles
    assert found.bundle is not None
    (x,) = step_models.sequences("x", [20])
    with runtimes.load(found.bundle) as session:
        stream = session.stream()
        scores = np.concatenate([stream.run({"x": row[None]})["scores"] for row in x])
    np.testing.assert_allclose(scores, step_models.whole_cell(cell, x), atol=1e-5)
