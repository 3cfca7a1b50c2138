"""Load an ONNX file with ONNX Runtime and run it once: `python -m toolchain.models.run_once MODEL.onnx FEEDS.npz`.

A process of its own, since a bad file can crash the runtime. Imports no more than that takes.
"""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime as ort


def main(model: str, feeds: str) -> None:
    """Exit code 0 if all goes well; the runtime's words on stderr and 1 if it refuses."""
    options = ort.SessionOptions()
    options.log_severity_level = 4  # errors reach us as exceptions
    options.intra_op_num_threads = 1
    try:
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        with np.load(feeds) as arrays:
            session.run(None, dict(arrays))
    except Exception as error:  # ORT raises bare RuntimeErrors and a dozen pybind classes
        sys.exit(f"{error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
