"""Score of the fp32 model in ONNX Runtime: the number that every smaller candidate is held against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

from benchmarks.zoo import ZooModel
from hwbench import metrics
from hwbench.data import dataset
from runtimes import samples
from runtimes.tensors import TensorSpec

_DTYPES = {"tensor(float)": "float32", "tensor(int64)": "int64", "tensor(int32)": "int32"}


@dataclass(frozen=True)
class Score:
    """A model's mean score over its evaluation samples."""

    value: float
    n: int


def fp32(model: ZooModel, threads: int = 2) -> Score:
    """Run the model on its evaluation samples, one inference each, and score the outputs by its metric."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # warnings about unused initializers help nobody here
    session = ort.InferenceSession(model.onnx, options, providers=["CPUExecutionProvider"])
    specs = [
        TensorSpec(i.name, _DTYPES[i.type], tuple("?" if size is None else size for size in i.shape))
        for i in session.get_inputs()
    ]
    names = [output.name for output in session.get_outputs()]
    data = dataset.read(model.evaluation, specs, labels=True)
    assert data.labels is not None
    runs = [dict(zip(names, session.run(names, feeds))) for feeds in samples.feeds(specs, data.arrays)]
    outputs = samples.gather(runs, samples.batch_size(specs, data.arrays))
    return Score(float(np.mean(metrics.load(model.metric).score(outputs, data.labels))), data.n)
