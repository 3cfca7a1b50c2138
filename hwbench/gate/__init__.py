"""The gate that CI runs: rounds of measuring until each budget is met, broken or undecided."""
