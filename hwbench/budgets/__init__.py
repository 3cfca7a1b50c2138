"""Budgets as people write them, and the verdict on each: pass, fail or inconclusive."""
