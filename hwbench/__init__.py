"""Measurements of whatever `runtimes` opens (latency, accuracy, memory), verdicts on budgets, and reports."""
