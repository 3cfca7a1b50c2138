"""Phases of the search, one per file; `toolchain/search/search.py` gives their order.

A phase is a function of the search's state. It replaces trials there as it goes, so that a phase that is cut short
loses nothing.
"""
