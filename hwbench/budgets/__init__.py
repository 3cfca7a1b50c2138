"""Budgets as people write them, and the verdict on each: pass, fail or inconclusive."""

BUILD_CONFIDENCE = 0.95
"""Confidence that `build` asks of a verdict on accuracy, if it is told no other."""

GATE_CONFIDENCE = 0.99
"""Confidence that a gate asks of a verdict on accuracy, if it is told no other: its bounds on time err as rarely."""
