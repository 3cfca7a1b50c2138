"""Child process that runs an ONNX file once: `python -m toolchain.models.run_once MODEL.onnx FEEDS.npz [as-written]`.

It runs as a process of its own, since an invalid file can crash the runtime, and imports only what it needs.
"""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime as ort

from runtimes.processes.parent_death import end_with_parent


def main(model: str, feeds: str, as_written: str = "") -> None:
    """Run the model once; on failure write the runtime's message to stderr and exit with code 1."""
    options = ort.SessionOptions()
    if as_written:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4  # errors arrive as exceptions
    options.intra_op_num_threads = 1
    try:
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        with np.load(feeds) as arrays:
            session.run(None, dict(arrays))
    except Exception as error:  # ONNX Runtime raises RuntimeErrors and a dozen pybind classes
        sys.exit(f"{error}")


if __name__ == "__main__":
    end_with_parent()
    main(*sys.argv[1:])
