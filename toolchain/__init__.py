"""The host's part: it exports a trained model, quantizes it, searches candidates and packs the best as a bundle."""

import os

# As in runtimes/__init__.py: many modules here import ONNX Runtime before anything of runtimes.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
