"""The search: from the candidates that could be tried to those that are measured well, and to the one that is packed.

`search.py` gives the order of the phases; each has a file in `phases`.
"""
