"""Energy meters, one per module: `open_meters(...)` raises `LookupError` with the reason if there is no such meter.

Modules whose names start with an underscore are helpers.
"""
