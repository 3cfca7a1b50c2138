"""ONNX models: opening, preparing, running and repairing them."""
