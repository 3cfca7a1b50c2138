"""Verification on the device: recorded inputs give the recorded outputs, and every byte is the one that was packed."""
