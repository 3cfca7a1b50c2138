"""Statistics: confidence intervals, confidence sequences, trends and change points."""
