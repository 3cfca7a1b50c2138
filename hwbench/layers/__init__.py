"""Layers of two bundles compared: which took longer, which are new, and where they run."""
