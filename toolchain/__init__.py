"""From a trained model to a bundle: export, quantize, build, search, pack."""

import os

# As in runtimes/__init__.py: many modules here import ONNX Runtime before anything of runtimes.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
