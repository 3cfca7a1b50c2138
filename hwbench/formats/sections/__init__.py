"""Sections of a report as strings, so that every format shows the same ones."""
