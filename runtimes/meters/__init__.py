"""One energy meter per file: `open_meters(...)`, which raises `LookupError` with the reason where there is none.

Modules that start with an underscore are shared by several.
"""
