"""One calibration method per file: `choose(distribution) -> Range`, from one tensor's `Histogram`.

Beside it, `NEEDS_DISTRIBUTION` says whether it looks at more of the histogram than the extremes.
"""
