"""Phases of the search, one per file; `toolchain/search/schedule.py` lists them in their order.

A phase is a function of the search's state. It replaces trials there one by one, so that nothing is lost if the
phase ends early.
"""
