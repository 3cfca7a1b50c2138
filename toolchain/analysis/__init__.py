"""Analysis of a model: its errors per layer, its saturation, its work, and its time per node."""
