"""Streams feed states back, on every CPU runtime, and refuse mistakes in the words of a session."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import step_models
from torch import nn

from runtimes import plugins
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import FeedError
from runtimes.inference.session import Session
from runtimes.tensors import Array
from toolchain.builders import builder
from toolchain.models.onnx_model import OnnxModel
from toolchain.recipes.recipe import Recipe


class Step(NamedTuple):
    module: nn.Module
    model: OnnxModel

    @property
    def name(self) -> str:
        return self.model.inputs[0].name

    @property
    def result(self) -> str:
        return self.model.outputs[0].name

    @property
    def state(self) -> str:
        return self.model.inputs[1].name

    def whole(self, sequence: Array) -> Array:
        if isinstance(self.module, step_models.Cell):
            return step_models.whole_cell(self.module, sequence)
        assert isinstance(self.module, step_models.Decoder)
        return step_models.whole_decoder(self.module, sequence[:, 0])

    def open(self, runtime: str, folder: Path, **options: str) -> Session:
        settings = RuntimeSettings(1, options)
        artifact = builder(runtime).build(self.model, Recipe("fp32"), settings, folder)
        states = step_models.CELL_STATES if self.name == "x" else step_models.DECODER_STATES
        artifact = dataclasses.replace(artifact, states=states)
        session: Session = plugins.load("runtimes.backends", runtime, "runtime").load(
            artifact, artifact.file.read_bytes()
        )
        return session


@pytest.fixture(scope="module", params=["cell", "decoder"])
def step(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Step:
    module = step_models.cell() if request.param == "cell" else step_models.decoder()
    return Step(module, step_models.exported(request.param, tmp_path_factory.mktemp("step") / "step.onnx"))


@pytest.fixture
def session(step: Step, tmp_path: Path) -> Iterator[Session]:
    with step.open("onnxruntime", tmp_path) as opened:
        yield opened


def run(session: Session, step: Step, sequence: Array) -> Array:
    stream = session.stream()
    return np.concatenate([stream.run({step.name: row[None]})[step.result] for row in sequence])


@pytest.mark.parametrize(
    ("runtime", "options"),
    [
        ("onnxruntime", {}),
        ("openvino", {}),
        ("openvino", {"static_shapes": "none"}),  # whose first step has one key
        ("openvino", {"static_shapes": "each"}),
    ],
)
def test_a_stream_is_the_whole_sequence(step: Step, runtime: str, options: dict[str, str], tmp_path: Path) -> None:
    with step.open(runtime, tmp_path, **options) as opened:
        for length, seed in ((30, 0), (1, 1), (20, 2)):
            (sequence,) = step_models.sequences(step.name, [length], seed)
            np.testing.assert_allclose(run(opened, step, sequence), step.whole(sequence), atol=1e-5)


def test_streams_of_a_session_may_be_interleaved(session: Session, step: Step) -> None:
    found = step_models.sequences(step.name, [6, 6, 6])
    streams = [session.stream() for _ in found]
    outputs = [
        [stream.run({step.name: sequence[index][None]})[step.result] for stream, sequence in zip(streams, found)]
        for index in range(6)
    ]
    for number, sequence in enumerate(found):
        seen = np.concatenate([row[number] for row in outputs])
        np.testing.assert_allclose(seen, step.whole(sequence), atol=1e-5)


def test_a_state_starts_another_stream_where_this_one_is(session: Session, step: Step) -> None:
    (sequence,) = step_models.sequences(step.name, [8])
    stream = session.stream()
    for row in sequence[:5]:
        stream.run({step.name: row[None]})
    other = session.stream(stream.state)
    for row in sequence[5:]:
        one, two = (each.run({step.name: row[None]})[step.result] for each in (stream, other))
        np.testing.assert_array_equal(one, two)
    stream.reset()
    again = stream.run({step.name: sequence[0][None]})[step.result]
    np.testing.assert_allclose(again, step.whole(sequence)[:1], atol=1e-5)


def test_a_batch_is_as_many_sequences(session: Session, step: Step) -> None:
    found = step_models.sequences(step.name, [4, 4, 4])
    stream = session.stream()
    outputs = np.stack([stream.run({step.name: np.stack(rows)})[step.result] for rows in zip(*found)], 1)
    for seen, sequence in zip(outputs, found):
        np.testing.assert_allclose(seen, step.whole(sequence), atol=1e-5)


def test_mistakes_are_refused_in_the_sessions_words_and_leave_the_stream_where_it_is(
    session: Session, step: Step
) -> None:
    (sequence,) = step_models.sequences(step.name, [2])
    stream = session.stream()
    first = {step.name: sequence[0][None]}
    stream.run(first)
    with pytest.raises(FeedError, match=f"missing '{step.name}'; the model takes {step.name}="):
        stream.run({})
    with pytest.raises(FeedError, match=f"unknown '{step.state}'"):
        stream.run({**first, **stream.state})
    with pytest.raises(FeedError, match="expected"):
        stream.run({step.name: sequence[0]})
    with pytest.raises(FeedError, match="where another input already set N = 2"):
        stream.run({step.name: np.stack([sequence[0]] * 2)})
    second = stream.run({step.name: sequence[1][None]})[step.result]
    np.testing.assert_allclose(second, step.whole(sequence)[1:], atol=1e-5)
    with pytest.raises(FeedError, match=f"States unknown 'x0'; the model has {step.state}"):
        session.stream({"x0": sequence})


def test_a_model_without_states_has_no_stream(session: Session) -> None:
    session.artifact = dataclasses.replace(session.artifact, states={})
    with pytest.raises(FeedError, match="has no states to feed back; build it with --state OUTPUT=INPUT"):
        session.stream()
