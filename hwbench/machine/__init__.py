"""The machine that measures: its identity, the profile that fits it, its GPU, and facts remembered between runs."""
