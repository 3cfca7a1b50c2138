"""Measure whatever `runtimes` opens: latency, accuracy, memory; judge it against budgets; report it."""
