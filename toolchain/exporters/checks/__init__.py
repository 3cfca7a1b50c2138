"""Checks of an export: the inputs that were declared, the values and the outputs, at several sizes."""
