"""The search: from the candidates that could be tried to those that are measured well, and to the one that is packed.

`search.py` runs the phases, `schedule.py` lists them in their order, and each has a file in `phases`.
"""
