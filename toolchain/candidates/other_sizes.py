"""Check that a candidate computes the same function at other sizes than those of the samples.

A bundle declares dynamic dimensions, so a device may run any size, while samples have a few. What a runtime compiled
for one shape, and what was calibrated at one, may be wrong at others. So a few samples are resized, and run as well.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

from hwbench.data import dataset
from hwbench.data.dataset import Dataset
from runtimes import npz, samples
from runtimes.bundles.states import States
from runtimes.inference.step_sequences import leading_axes, run_sequences
from runtimes.sample_arrays import Rows, flat, stack
from runtimes.tensors import Array, Feeds
from runtimes.verification.golden import relative_error
from toolchain.calibration.single_steps import open_stream
from toolchain.models import ort_session
from toolchain.models.data_dependent import data_dependent_outputs
from toolchain.models.onnx_model import OnnxModel, load_ir
from toolchain.models.pool_windows import windows_check
from toolchain.sources.sized_runs import run_resized
from toolchain.sources.sizes import other_sizes, resized, sizes_of

_SAMPLES = 3  # run at each size, since one may be right by chance
_SHAPES = 4  # beside the samples' own
_FACTOR, _MARGIN = 3.0, 0.02  # an error of 0.02 is usual for int8, and three times another sample's is chance


@dataclass(frozen=True)
class OtherSizes:
    """Samples at their own size and at others, in the order in which a session meets them, and the source's outputs.

    Attributes:
        data: the feeds of one inference each; the first ones in the size that they came in. Of a model with states,
            sequences of two equal steps, of which the first begins with a state that the source met.
        own: the number of those.
        expected: the source's outputs, joined as those of a candidate are.
    """

    data: Dataset
    own: int
    expected: Mapping[str, Rows]

    def fault(self, outputs: Mapping[str, Rows]) -> str | None:
        """Find a size at which a candidate is wrong, by its outputs; None if there is none.

        Args:
            outputs: the candidate's outputs for `data`.

        Returns:
            A reason to reject it: its error is more than chance above that at the samples' own size.
        """
        found = [np.max([0.0, *self._errors(outputs, index)]) for index in range(self.data.n)]  # NaN stays NaN
        errors = np.nan_to_num(found, nan=np.inf, posinf=np.inf)
        usual, worst = errors[: self.own].max(), int(errors.argmax())
        if errors[worst] <= _FACTOR * usual + _MARGIN:
            return None
        return (
            f"its outputs differ from the source's by {errors[worst]:.2g} of their norm at {self._shapes(worst)}, and "
            f"by {usual:.2g} at {self._shapes(0)}"
        )

    def _errors(self, outputs: Mapping[str, Rows], index: int) -> Iterator[float]:
        """Compute the error of each output of one inference; of integers, only whether their shape is right.

        A class that differs, of two that score alike, is no sign of a fault. Nor is an error beside an output that is
        nearly zero, so the error is a share of the usual root mean square at least.
        """
        for name, expected in self.expected.items():
            ours, theirs = outputs[name][index], expected[index]
            if np.shape(ours) != np.shape(theirs):
                yield np.inf
            elif theirs.dtype.kind == "f":
                usual = _rms(flat(expected[range(self.own)]))
                yield relative_error(ours, theirs) * min(1.0, _rms(theirs) / usual if usual else 1.0)

    def _shapes(self, index: int) -> str:
        lead = {spec.name: leading_axes(spec, self.data.states) for spec in self.data.specs}
        shapes = {name: self.data.arrays[name][index].shape[axes - 1 :] for name, axes in lead.items()}
        return " and ".join(f"{name} {list(shape)}" for name, shape in shapes.items())


def _rms(array: Array) -> float:
    """Compute the root mean square of the finite numbers; 0 if there are none."""
    finite = array[np.isfinite(array)].astype(np.float64)
    return float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0


def resized_samples(model: OnnxModel, data: Dataset, work: Path, states: States | None = None) -> OtherSizes | None:
    """Resize a few samples, as far as the source computes them, and run the source on them.

    Outputs whose sizes depend on the data are not compared: of a detector's rows that score nearly alike, each
    arithmetic finds others, in another order. The metric judges them.

    Args:
        model: the source.
        data: samples of the source; single steps, if it has states.
        work: a folder for the file of resized samples.
        states: its states.

    Returns:
        None if no dimension is dynamic, if the source accepts no other size, or if no output can be compared.

    Raises:
        UsageError: ONNX Runtime cannot run the source on the samples.
    """
    by_data = data_dependent_outputs(load_ir(model.path))
    if all(spec.is_static for spec in model.inputs) or all(spec.name in by_data for spec in model.outputs):
        return None
    session = ort_session.session(model.path)
    rows = _spread(data, _SAMPLES) if states else range(_SAMPLES)
    own = [dict(feeds) for index, feeds in enumerate(data.feeds()) if index in rows]
    feeds = list(own)
    for sizes in itertools.islice(_accepted(model, own, session), _SHAPES):
        feeds += [resized(model.inputs, fed, sizes) for fed in own]
    if len(feeds) == len(own):
        return None
    file = work / "other-sizes.npz"
    npz.write(file, {name: stack([_steps(name, fed, states or {}) for fed in feeds]) for name in own[0]})
    found = dataset.read(file, model.inputs, states=states)
    expected = {name: rows for name, rows in _expected(model, found, session).items() if name not in by_data}
    return OtherSizes(found, len(own), expected)


def _spread(data: Dataset, n: int) -> list[int]:
    """Choose steps by their states: from the middle of the samples to the last, since a cache begins empty."""
    return [int(row) for row in np.linspace(data.n // 2, data.n - 1, n)]


def _steps(name: str, feeds: Feeds, states: States) -> Array:
    """Make a sequence of one inference's array of a model with states: twice the same step."""
    return np.stack([feeds[name]] * 2) if states and name not in states else np.asarray(feeds[name])


def _expected(model: OnnxModel, data: Dataset, session: ort.InferenceSession) -> dict[str, Rows]:
    if data.states:
        return run_sequences(open_stream(session, model, data.states), data.sequences())
    outputs = [ort_session.run_sample(session, index, fed) for index, fed in enumerate(data.feeds())]
    return samples.gather([{s.name: array for s, array in zip(model.outputs, seen)} for seen in outputs], batch=1)


def _accepted(model: OnnxModel, own: Sequence[Feeds], session: ort.InferenceSession) -> Iterator[dict[str, int]]:
    """Yield sizes at which the source runs, and which its operators define."""
    fits = windows_check(load_ir(model.path))
    call, usual = functools.partial(ort_session.run_sample, session, 0), sizes_of(model.inputs, own[0])
    tried: list[dict[str, int]] = [usual]
    for sizes in other_sizes(model.inputs, usual):
        if sizes in tried:
            continue
        tried.append(sizes)
        runs = (run_resized(model.inputs, fed, sizes, call) for fed in own)
        if all(run is not None and run.error is None and fits(run.feed) for run in runs):
            yield sizes
