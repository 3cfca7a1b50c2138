"""Devices that are not this machine: what may be said of them here, and what computes as they do."""
