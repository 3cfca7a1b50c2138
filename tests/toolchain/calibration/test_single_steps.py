"""Sequences become single steps, with the states that the source met there, for all that takes samples one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import step_models

from hwbench.data import dataset
from hwbench.data.dataset import Dataset
from runtimes.bundles.input_limits import InputLimits
from toolchain.calibration.single_steps import single_steps
from toolchain.candidates.other_sizes import resized_samples
from toolchain.candidates.source_limits import source_limits
from toolchain.models import ort_session
from toolchain.models.onnx_model import OnnxModel

LENGTHS = [25, 1, 7]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    return step_models.exported("decoder", tmp_path_factory.mktemp("decoder") / "decoder.onnx")


@pytest.fixture(scope="module")
def data(decoder: OnnxModel, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    file = step_models.write_sequences(tmp_path_factory.mktemp("data") / "data.npz", "token", LENGTHS)
    return dataset.read(file, decoder.inputs, states=step_models.DECODER_STATES)


def test_each_step_has_the_state_that_it_met(decoder: OnnxModel, data: Dataset, tmp_path: Path) -> None:
    steps = single_steps(decoder, data, tmp_path / "steps.npz")
    assert steps.n == sum(LENGTHS) and not steps.states
    lengths = [fed["past"].shape[3] for fed in steps.feeds()]
    assert lengths == [step for length in LENGTHS for step in range(length)]
    session, past = ort_session.session(decoder.path), None
    for fed in steps.feeds():
        if fed["past"].shape[3]:
            np.testing.assert_array_equal(fed["past"], past)
        past = session.run(None, fed)[1]


def test_few_steps_are_spread_with_both_ends(decoder: OnnxModel, data: Dataset, tmp_path: Path) -> None:
    steps = single_steps(decoder, data, tmp_path / "steps.npz", most=9)
    lengths = [fed["past"].shape[3] for fed in steps.feeds()]
    assert lengths == [0, 12, 24, 0, 0, 3, 6]


def test_samples_of_a_model_without_states_are_returned_as_they_are(decoder: OnnxModel, data: Dataset, tmp_path: Path):
    steps = single_steps(decoder, data, tmp_path / "steps.npz", most=9)
    assert single_steps(decoder, steps, tmp_path / "again.npz") is steps


def test_other_sizes_are_sequences_from_states_of_other_lengths(
    decoder: OnnxModel, data: Dataset, tmp_path: Path
) -> None:
    steps = single_steps(decoder, data, tmp_path / "steps.npz", most=9)
    sizes = resized_samples(decoder, steps, tmp_path, data.states)
    assert sizes is not None
    shapes = {sequence.initial["past"].shape for sequence in sizes.data.sequences()}
    assert {shape[0] for shape in shapes} == {1, 2}
    assert len({shape[3] for shape in shapes}) > 2
    assert all(len(sequence.feeds) == 2 for sequence in sizes.data.sequences())
    assert sizes.fault(sizes.expected) is None


def test_a_cache_has_room_for_the_steps_that_a_position_table_has(decoder: OnnxModel, data: Dataset, tmp_path: Path):
    found = source_limits(decoder, single_steps(decoder, data, tmp_path / "steps.npz"))
    assert found == InputLimits({"P": 63}, {"token": step_models.VOCABULARY})
