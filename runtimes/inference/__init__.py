"""Sessions: loading a model, running it, its statistics, and drift of its values from calibration's."""
