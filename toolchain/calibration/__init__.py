"""Ranges of a model's tensors over calibration samples: the table, and under `methods/` what chooses them."""
