"""Verification on the device: every byte is as packed, and the golden inputs give the golden outputs."""
