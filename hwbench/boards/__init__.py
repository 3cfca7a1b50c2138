"""Boards: devices that OpenSSH reaches, on which only Python has to be."""
