"""Sessions: loading a model, running it, its statistics, and drift from what calibration saw."""
