"""One calibration method per file: `calibrate(model, tensors, specs, arrays, infinities) -> CalibrationTable`."""
