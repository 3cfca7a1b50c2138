"""Calibration: ranges of a model's tensors over samples, chosen by the methods of `methods/`."""
