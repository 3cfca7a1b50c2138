"""Single steps of sequences: inputs and states of the source, as plain samples of mixed sizes.

What observes a model (calibration, sensitivity, corrections) knows no sequences: it takes steps as they come, with the
states that the source met there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort

from hwbench.data import dataset
from hwbench.data.dataset import Dataset
from runtimes.bundles.states import States
from runtimes.inference.stream import Stream
from runtimes.tensors import Array, Feeds
from toolchain.calibration.sample_factory import write_samples
from toolchain.models import ort_session
from toolchain.models.onnx_model import OnnxModel

MOST_STEPS = 512
"""The most steps that are taken, since the states of long sequences are large."""


def single_steps(model: OnnxModel, data: Dataset, out: Path, most: int = MOST_STEPS) -> Dataset:
    """Run the source over sequences, and write some of its steps, evenly spread, as samples; all if they are few.

    The first and the last step of each sequence are among them, unless there are more sequences than half of `most`.

    Args:
        model: the source.
        data: sequences; samples of a model without states are returned as they are.
        out: the .npz to write.
        most: about the largest number of steps to write.

    Raises:
        UsageError: ONNX Runtime cannot run the source on them.
        FeedError: as in `step_sequences.sequences`.
    """
    if not data.states:
        return data
    write_samples(Path("the steps"), _steps(model, data, most), out)
    return dataset.read(out, model.inputs)


def open_stream(session: ort.InferenceSession, model: OnnxModel, states: States) -> Stream:
    """Open a stream of a model that is loaded already."""
    names = [spec.name for spec in model.outputs]

    def run(feeds: Feeds) -> dict[str, Array]:
        return dict(zip(names, ort_session.run_sample(session, 0, feeds)))

    return Stream(run, model.inputs, model.outputs, states)


def _steps(model: OnnxModel, data: Dataset, most: int) -> Iterator[dict[str, Array]]:
    stream = open_stream(ort_session.session(model.path), model, data.states)
    sequences = np.unique(np.linspace(0, data.n - 1, most).astype(int)).tolist()
    share = max(math.ceil(most / len(sequences)), 1)
    for index, sequence in enumerate(data.sequences()):
        if index not in sequences:
            continue
        stream.reset(sequence.initial)
        kept = set(np.linspace(0, len(sequence.feeds) - 1, min(share, len(sequence.feeds))).astype(int).tolist())
        for step, feeds in enumerate(sequence.feeds):
            state = stream.state_for(feeds)
            stream.run(feeds)
            if step in kept:
                yield {**feeds, **state}
