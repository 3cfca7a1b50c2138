"""The search: from what could be tried to what is worth measuring well.

`search.py` is the order of its phases; the other files are one idea each.
"""
